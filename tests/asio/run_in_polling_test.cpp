// SPDX-License-Identifier: BSL-1.0

// How a native loop that an io_context drives polls its rings.

#include <ringbell/ringbell.hpp>
#include <ringbell/sys/cpu.hpp>

#include "support/asio.hpp"
#include "support/channel_pair.hpp"
#include "support/native_peer.hpp"

#include <doctest/doctest.h>

#include <time.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <ostream>
#include <string>
#include <thread>
#include <utility>

TEST_SUITE("asio run_in_polling") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

loop_options spinning(spin_policy p) {
  loop_options o;
  o.spin = p;
  return o;
}

std::chrono::nanoseconds cpu_of_this_thread() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// Waits for a message that never comes, on a loop that a context drives.
struct waiting {
  explicit waiting(spin_policy p)
      : lp(spinning(p)), ends(lp.run(test::connected(lp))), driving(run_in(lp, context)) {
    lp.spawn(receive(ends.client, received));
  }
  static task<void> receive(channel& from, int& count) {
    while (const auto m = co_await from.recv()) ++count;
  }
  net::io_context context;
  loop lp;
  channel_pair ends;
  running_loop driving;
  int received = 0;
};

/// A server on a driven loop exchanges messages with a client in another thread. What the loop has
/// counted.
loop_statistics exchange(spin_policy p, int messages) {
  const temporary_folder folder;
  const std::string path = folder / "service";
  net::io_context context;
  loop lp(spinning(p));
  running_loop driving = run_in(lp, context);
  const auto serve = [&]() -> task<void> {
    listener l = listener::bind(lp, path);
    channel ch = co_await l.accept();
    while (auto m = co_await ch.recv()) co_await ch.send(m->bytes());
    driving.stop();
  };
  lp.spawn(serve());
  int echoed = 0;
  native_peer client(path, {}, [&](loop&, channel ch) -> task<void> {
    const std::array<std::byte, 64> bytes{};
    for (int i = 0; i < messages; ++i) {
      co_await ch.send(std::span<const std::byte>(bytes));
      if (const auto m = co_await ch.recv(); m && m->size() == bytes.size()) ++echoed;
    }
  });
  context.run_for(patience);
  client.join();
  CHECK(echoed == messages);
  return lp.statistics();
}

}  // namespace

TEST_CASE("a driven loop polls its rings before it sleeps") {
  if (sys::only_cpu() >= 0) {
    MESSAGE("skipped: bound to one processor");
    return;
  }
  const loop_statistics counted = exchange(spin_policy::always, 2000);
  CHECK(counted.spins_paid > 0);
}

TEST_CASE("a driven loop that is not to poll does not") {
  const loop_statistics counted = exchange(spin_policy::none, 300);
  CHECK(counted.spins == 0);
}

TEST_CASE("a driven loop that polls adaptively exchanges messages as well") {
  exchange(spin_policy::adaptive, 2000);
}

TEST_CASE("while a driven loop polls, the context's timers and handlers have their turn") {
  waiting w(spin_policy::always);
  int turns = 0;
  const auto body = [&]() -> net::awaitable<void> {
    net::steady_timer timer(w.context);
    for (int i = 0; i < 50; ++i) {
      timer.expires_after(100us);
      co_await timer.async_wait(net::use_awaitable);
      co_await net::post(w.context, net::use_awaitable);
      ++turns;
    }
  };
  net::co_spawn(w.context, body, rethrow);
  CHECK(run_until(w.context, [&] { return turns == 50; }));
  CHECK(w.lp.statistics().spins <=
        1);  // the same all the time; none where both ends share a processor
}

TEST_CASE("while a driven loop polls, its own timers and posts go on, and messages arrive") {
  waiting w(spin_policy::always);
  bool slept = false, posted = false;
  const auto body = [&]() -> task<void> {
    co_await sleep_for(2ms);
    slept = true;
    co_await w.ends.server.send("now");
  };
  w.lp.spawn(body());
  std::thread other([&] { w.lp.post([&] { posted = true; }); });
  CHECK(run_until(w.context, [&] { return slept && posted && w.received == 1; }));
  other.join();
}

TEST_CASE("a driven loop that has polled in vain sleeps, and uses no processor time") {
  waiting w(spin_policy::adaptive);
  CHECK(run_until(w.context, [&] { return w.ends.client.statistics().parks == 1; }));
  const auto before = cpu_of_this_thread();
  const auto spins = w.lp.statistics().spins;
  w.context.restart();
  w.context.run_for(500ms);
  CHECK(cpu_of_this_thread() - before < 20ms);
  CHECK(w.lp.statistics().spins == spins);
  const auto body = [&]() -> task<void> { co_await w.ends.server.send("now"); };
  w.lp.spawn(body());
  CHECK(run_until(w.context, [&] { return w.received == 1; }));
}

TEST_CASE("a driven loop that polls can be stopped, run by other means, and driven again") {
  waiting w(spin_policy::always);
  for (int i = 0; i < 20; ++i) w.context.poll_one();
  w.driving.stop();
  w.context.restart();
  w.context.run();  // no work left
  const auto body = [&]() -> task<void> {
    co_await w.ends.server.send("now");
    while (w.received == 0) co_await yield();
  };
  w.lp.run(body());
  w.driving = run_in(w.lp, w.context);
  w.lp.spawn([](channel& to) -> task<void> { co_await to.send("and again"); }(w.ends.server));
  CHECK(run_until(w.context, [&] { return w.received == 2; }));
}

TEST_CASE("a loop that a foreign loop runs does not poll") {
  waiting w(spin_policy::always);
  w.driving.stop();
  w.lp.run_ready();
  const auto spins = w.lp.statistics().spins;
  for (int i = 0; i < 10; ++i) w.lp.run_ready();
  CHECK(w.lp.statistics().spins == spins);
}

}  // TEST_SUITE("asio run_in_polling")
