// SPDX-License-Identifier: BSL-1.0
// That no thread is started for connections on Asio. On Windows Asio itself starts one for its
// timers, and the system some that wait for objects.
#include <ringbell/sys/cpu.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

#include "support/applies.hpp"
#include "support/asio.hpp"
#include "support/bells.hpp"
#include "support/child_process.hpp"
#include "support/os_usage.hpp"

TEST_SUITE("asio no_thread") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

net::awaitable<void> echo_all(asio_channel& ch) {
  while (const auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
  ch.close();
}

net::awaitable<void> ask(asio_channel& ch) {
  const std::vector<std::byte> large(300'000);
  for (const std::size_t size : {std::size_t{8}, std::size_t{5000}, large.size()})
    for (int i = 0; i < 50; ++i) {
      co_await ch.send(net::buffer(large.data(), size));
      const auto m = co_await ch.recv();
      expect(m && m->size() == size, "an echo");
    }
  ch.close();
}

/// Everything that a program does with channels, on one thread.
void do_everything() {
  net::io_context context;
  for (const auto bell : bells_here()) {
    connect_options options;
    options.bells = sys::bell_bit(bell);
    asio_pair p = connected(context, {}, options);
    net::co_spawn(context, echo_all(p.server), rethrow);
    net::co_spawn(context, ask(p.client), rethrow);
    context.run();
    context.restart();
  }
  const temporary_folder folder;
  connect_options impatient;
  impatient.timeout = 5ms;
  net_error_code error;
  async_connect(context, folder / "nobody", impatient,
                [&](net_error_code e, const asio_channel&) { error = e; });
  context.run();
  expect(std_error(error) == errc::no_server, "nobody to be there");
}

}  // namespace

TEST_CASE("nothing starts a thread, but for measuring once what a sleep costs" *
          not_on(thread_sanitizer, "the sanitizer has a thread of its own")) {
  const int before = threads();
  do_everything();
  CHECK(eventually(
      [&] { return threads() == before; }));  // those of the measurement may be just going
  const int ended = child_process([] {
                      sys::park_cost();
                      if (!forbid_threads()) return 77;
                      do_everything();
                      expect(threads() == 1, "no other thread");
                      return 0;
                    }).wait();
  if (ended == 77) {
    MESSAGE("skipped: no seccomp filters here");
    return;
  }
  CHECK(ended == 0);
}

}  // TEST_SUITE("asio no_thread")
