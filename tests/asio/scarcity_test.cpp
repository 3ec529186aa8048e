// SPDX-License-Identifier: BSL-1.0
// Without descriptors or memory, each initiation gives its error to the handler, and goes on once
// there are some again.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>

#include "support/applies.hpp"
#include "support/asio.hpp"
#include "support/asio_scene.hpp"
#include "support/no_descriptors_left.hpp"
#include "support/service.hpp"

TEST_SUITE("asio scarcity") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

net::awaitable<reply> echo(asio_request r) { co_return reply(r.bytes()); }

bool is_scarcity(const net_error_code& e) { return e == net::error::no_descriptors; }

/// A handler of an allocator that has nothing to give.
template <class T>
struct no_memory {
  using value_type = T;
  no_memory() = default;
  template <class U>
  no_memory(const no_memory<U>&) noexcept {}
  T* allocate(std::size_t) { throw std::bad_alloc(); }
  void deallocate(T*, std::size_t) noexcept {}
  friend bool operator==(const no_memory&, const no_memory&) noexcept { return true; }
};
struct poor_handler {
  using allocator_type = no_memory<void>;
  allocator_type get_allocator() const noexcept { return {}; }
  int* called;
  template <class... Value>
  void operator()(const net_error_code& error, Value&&...) const {
    if (error == net::error::no_memory) ++*called;
  }
};

}  // namespace

TEST_CASE(
    "without descriptors an awaited connect throws where it is awaited, however many are left, and leaves none open" *
    needs_scarce_handles) {
  const temporary_folder folder;
  net::io_context context;
  asio_listener listener(context, folder / "service");
  int connected = 0, failed = 0;
  const auto body = [&]() -> net::awaitable<void> {
    for (std::size_t spare = 0; spare < 12; ++spare) {
      bool told = false;
      {
        const no_descriptors_left none(spare);
        try {
          connect_options options;
          options.timeout = 20ms;
          // Nobody accepts: whatever it lacks, it fails.
          co_await async_connect(co_await net::this_coro::executor, folder / "service", options,
                                 net::use_awaitable);
          ++connected;
        } catch (const net_system_error& e) {
          told = true;
          failed += is_scarcity(e.code()) ? 1 : 0;
        }
      }
      CHECK(told);
    }
  };
  net::co_spawn(context, body(), rethrow);
  run_out(context);
  CHECK(connected == 0);
  CHECK(failed > 0);
}

TEST_CASE(
    "without descriptors a client's connect tells its handler, and connects once there are some" *
    needs_scarce_handles) {
  const temporary_folder folder;
  net::io_context context;
  asio_server server(context, folder / "service", echo);
  asio_client c(context);
  int failed = 0;
  const auto body = [&]() -> net::awaitable<void> {
    for (std::size_t spare = 0; spare < 3;
         ++spare) {  // with three it gets as far as the server, which has its own
      net_error_code error;
      {
        const no_descriptors_left none(spare);
        co_await c.async_connect(folder / "service",
                                 net::redirect_error(net::use_awaitable, error));
      }
      failed += is_scarcity(error) ? 1 : 0;
      CHECK_FALSE(c.is_open());
      co_await c.async_call(1, net::buffer("a", 1), net::redirect_error(net::use_awaitable, error));
      CHECK(error == net::error::bad_descriptor);
    }
    co_await c.async_connect(folder / "service", net::use_awaitable);
    CHECK((co_await c.call(1, net::buffer("a", 1))).text() == "a");
    c.close();
    server.close();
  };
  net::co_spawn(context, body(), rethrow);
  run_out(context);
  CHECK(failed == 3);
}

TEST_CASE("without descriptors what a constructor needs is thrown by it" * needs_scarce_handles) {
  const temporary_folder folder;
  net::io_context context;
  const net::steady_timer with_descriptors(context);
  const no_descriptors_left none;
  CHECK_THROWS_AS(asio_listener(context, folder / "service"), std::exception);
  CHECK_THROWS_AS(asio_server(context, folder / "service", echo), std::exception);
}

TEST_CASE(
    "without memory for the operation its handler is called with no_memory, whatever is begun") {
  const temporary_folder folder;
  asio_pair pair = [] {
    static net::io_context of_pair;
    return connected(of_pair);
  }();
  net::io_context context;
  asio_listener listener(context, folder / "service");
  asio_server server(context, folder / "other", echo);
  asio_client client(context);
  bool ready = false;
  client.async_connect(folder / "other", [&](net_error_code e) { ready = !e; });
  CHECK(run_until(context, [&] { return ready; }));
  int called = 0;
  const poor_handler poor{&called};
  std::array<std::byte, 8> bytes{};
  pair.client.async_recv(poor);
  pair.client.async_recv(1s, poor);
  pair.client.async_recv_into(net::buffer(bytes), poor);
  pair.client.async_send(net::buffer(bytes), poor);
  pair.client.async_claim(8, poor);
  pair.client.async_wait(asio_channel::wait_recv, poor);
  async_connect(context, folder / "service", poor);
  listener.async_accept(poor);
  client.async_call(1, net::buffer(bytes), poor);
  asio_call_stream s = client.open(1);
  s.async_write(net::buffer(bytes), poor);
  s.async_read(poor);
  s.async_reply(poor);
  server.async_stop(1s, poor);
  asio_client other(context);
  other.async_connect(folder / "other", poor);
  loop lp;
  running_loop running = run_in(lp, context);
  async_run(context, lp, []() -> task<void> { co_return; }(), poor);
  CHECK(called == 15);
  pair.client.close();
  pair.server.close();
  s = client.open(1);
  client.close();
  other.close();
  server.close();
  listener.close();
  running.stop();
  run_out(context);
  CHECK(called == 15);
}

}  // TEST_SUITE("asio scarcity")
