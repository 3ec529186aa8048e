// SPDX-License-Identifier: BSL-1.0
// All public members of all Asio classes on objects that are not open: each gives an error, or an
// empty value, and none crashes.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_scene.hpp"
#include "support/service.hpp"

TEST_SUITE("asio states") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

/// Counts handlers that got this error.
struct errors {
  net_error_code wanted = net::error::bad_descriptor;
  int called = 0;
  int right = 0;
  auto handler() {
    return [this](const net_error_code& error, auto&&...) {
      ++called;
      right += error == wanted ? 1 : 0;
    };
  }
};

net::awaitable<reply> echo(asio_request r) { co_return reply(r.bytes()); }

/// All members of a channel that is not open.
void check(net::io_context& context, asio_channel& ch) {
  errors e;
  std::array<std::byte, 8> bytes{};
  CHECK_FALSE(ch.is_open());
  (void)ch.get_executor();
  ch.async_recv(e.handler());
  ch.async_recv(1s, e.handler());
  ch.async_recv_into(net::buffer(bytes), e.handler());
  ch.async_send(net::buffer(bytes), e.handler());
  ch.async_send(net::buffer(bytes), 1s, e.handler());
  ch.async_claim(8, e.handler());
  ch.async_wait(asio_channel::wait_recv | asio_channel::wait_send, e.handler());
  run_out(context);
  CHECK(e.called == 7);
  CHECK(e.right == 7);
  int thrown = 0;
  const auto fast = [&]() -> net::awaitable<void> {
    for (int what = 0; what < 3; ++what) try {
        if (what == 0) co_await ch.recv();
        if (what == 1) co_await ch.recv(1s);
        if (what == 2) co_await ch.send(net::buffer(bytes));
      } catch (const net_system_error& error) {
        thrown += error.code() == net::error::bad_descriptor ? 1 : 0;
      }
  };
  net::co_spawn(context, fast(), rethrow);
  run_out(context);
  CHECK(thrown == 3);
  net_error_code error;
  CHECK(ch.try_recv(error).data() == nullptr);
  CHECK(error == net::error::bad_descriptor);
  CHECK(ch.try_send(net::buffer(bytes)) == net::error::bad_descriptor);
  error = {};
  (void)ch.try_claim(8, error);
  CHECK(error == net::error::bad_descriptor);
  CHECK(ch.max_claim() == 0);
  CHECK(ch.max_message() == 0);
  CHECK(ch.statistics().messages_sent == 0);
  CHECK(ch.peer().process == sys::peer_identity().process);
  ch.spin(spin_policy::none);
  ch.cancel();
  ch.close_send();
  ch.close();
}

/// All members of a client that is not open, but async_connect.
void check(net::io_context& context, asio_client& c) {
  errors e;
  const int value = 5;
  CHECK_FALSE(c.is_open());
  (void)c.get_executor();
  c.async_call(1, net::buffer(&value, sizeof value), e.handler());
  c.async_call(1, net::buffer(&value, sizeof value), 1s, e.handler());
  c.async_call_with(1, value, e.handler());
  c.async_call_with(1, value, 1s, e.handler());
  asio_call_stream s = c.open(1);
  s.finish();
  s.async_write(net::buffer(&value, sizeof value), e.handler());
  s.async_write_value(value, e.handler());
  s.async_read(e.handler());
  s.async_reply(e.handler());
  run_out(context);
  CHECK(e.called == 8);
  CHECK(e.right == 8);
  int thrown = 0;
  const auto fast = [&]() -> net::awaitable<void> {
    for (int what = 0; what < 2; ++what) try {
        if (what == 0) co_await c.call(1);
        if (what == 1) co_await c.call_with(1, value);
      } catch (const net_system_error& error) {
        thrown += error.code() == net::error::bad_descriptor ? 1 : 0;
      }
  };
  net::co_spawn(context, fast(), rethrow);
  run_out(context);
  CHECK(thrown == 2);
  CHECK(c.peer().process == sys::peer_identity().process);
  asio_client copy = c;
  copy.close();
  c.close();
  CHECK_FALSE(copy.is_open());
}

void check(net::io_context& context, asio_server& s) {
  errors e;
  CHECK_FALSE(s.is_open());
  (void)s.get_executor();
  CHECK(s.path().empty());
  CHECK(s.clients() == 0);
  s.async_stop(1s, e.handler());
  run_out(context);
  CHECK(e.called == 1);
  CHECK(e.right == 1);
  asio_server copy = s;
  copy.close();
  s.close();
}

void check(net::io_context& context, asio_listener& l) {
  errors e;
  CHECK_FALSE(l.is_open());
  (void)l.get_executor();
  CHECK(l.path().empty());
  CHECK(l.clients() == 0);
  l.async_accept(e.handler());
  l.async_accept(context.get_executor(), e.handler());
  run_out(context);
  CHECK(e.called == 2);
  CHECK(e.right == 2);
  l.cancel();
  l.close();
}

}  // namespace

TEST_CASE("a channel that was never connected, closed or moved from gives bad_descriptor") {
  net::io_context context;
  asio_channel none(context);
  check(context, none);
  asio_pair pair = connected(context);
  pair.client.close();
  check(context, pair.client);
  asio_channel moved = std::move(pair.server);
  check(context, pair.server);
  moved = asio_channel(context);
  check(context, moved);
}

TEST_CASE("a channel that is on no executor tells a coroutine and a callback alike") {
  asio_channel none;
  CHECK_FALSE(none.is_open());
  errors e;
  std::array<std::byte, 8> bytes{};
  none.async_recv(e.handler());
  none.async_recv(1s, e.handler());
  none.async_send(net::buffer(bytes), e.handler());
  none.async_claim(8, e.handler());
  none.async_wait(asio_channel::wait_send, e.handler());
  CHECK(e.called == 5);
  CHECK(e.right == 5);
  CHECK_THROWS_AS(none.async_recv(net::use_future).get(), net_system_error);
  net::io_context context;
  check(context, none = asio_channel(context));
  bool told = false;
  const auto coroutine = [&]() -> net::awaitable<void> {
    asio_channel nowhere;
    try {
      co_await nowhere.async_recv(net::use_awaitable);
    } catch (const net_system_error& error) {
      told = error.code() == net::error::bad_descriptor;
    }
    net_error_code error;
    co_await async_connect(net::any_io_executor(), "nobody",
                           net::redirect_error(net::use_awaitable, error));
    CHECK(error == net::error::bad_descriptor);
    asio_client c{net::any_io_executor()};
    co_await c.async_connect("nobody", net::redirect_error(net::use_awaitable, error));
    CHECK(error == net::error::bad_descriptor);
  };
  net::co_spawn(context, coroutine(), rethrow);
  run_out(context);
  CHECK(told);
}

TEST_CASE(
    "a client that was never connected, failed, was closed or moved from gives bad_descriptor, and the context no work") {
  const temporary_folder folder;
  net::io_context context;
  asio_client never(context);
  check(context, never);

  asio_client failed(context);
  client_options at_once;
  at_once.connection.timeout = 1ms;
  net_error_code error;
  failed.async_connect(folder / "nobody", at_once, [&](net_error_code e) { error = e; });
  run_out(context);
  CHECK(error);
  check(context, failed);

  asio_server server(context, folder / "service", echo);
  asio_client c(context);
  bool connected = false;
  c.async_connect(folder / "service", [&](net_error_code e) { connected = !e; });
  CHECK(run_until(context, [&] { return connected; }));
  CHECK(c.is_open());
  asio_client moved = std::move(c);
  asio_client copy = moved;
  moved.close();
  CHECK_FALSE(copy.is_open());
  server.close();
  run_out(context);
  check(context, c);
  check(context, moved);
  check(context, copy);
}

TEST_CASE("a closed client can be connected again") {
  const temporary_folder folder;
  net::io_context context;
  asio_server server(context, folder / "service", echo);
  asio_client c(context);
  std::string text;
  const auto twice = [&]() -> net::awaitable<void> {
    for (int i = 0; i < 2; ++i) {
      co_await c.async_connect(folder / "service", net::use_awaitable);
      text += (co_await c.call(1, net::buffer("a", 1))).text();
      c.close();
    }
    server.close();
  };
  net::co_spawn(context, twice(), rethrow);
  run_out(context);
  CHECK(text == "aa");
}

TEST_CASE(
    "a server that was closed, stopped or moved from gives bad_descriptor, and the context no work") {
  const temporary_folder folder;
  net::io_context context;
  asio_server s(context, folder / "service", echo);
  asio_server moved = std::move(s);
  CHECK(moved.is_open());
  moved.close();
  run_out(context);
  check(context, s);
  check(context, moved);
}

TEST_CASE("a server that has stopped is not open any more") {
  const temporary_folder folder;
  net::io_context context;
  asio_server s(context, folder / "service", echo);
  bool by_itself = false;
  s.async_stop(1s, [&](net_error_code error, bool all) { by_itself = !error && all; });
  run_out(context);
  CHECK(by_itself);
  check(context, s);
}

TEST_CASE("closing a server ends a stop that is pending") {
  const temporary_folder folder;
  net::io_context context;
  bool begun = false;
  const auto never = [&](asio_request r) -> net::awaitable<reply> {
    begun = true;
    net::steady_timer timer(r.get_executor(), 1h);
    co_await timer.async_wait(net::use_awaitable);
    co_return reply();
  };
  asio_server s(context, folder / "service", never);
  asio_client c(context);
  errors call, stop;
  call.wanted = net::error::connection_reset;
  stop.wanted = net::error::operation_aborted;
  c.async_connect(folder / "service",
                  [&](net_error_code) { c.async_call(1, net::buffer("q", 1), call.handler()); });
  CHECK(run_until(context, [&] { return begun; }));
  s.async_stop(1h, stop.handler());
  for (int i = 0; i < 100; ++i) context.poll_one();
  CHECK(stop.called == 0);
  s.close();
  CHECK(run_until(context, [&] { return call.called + stop.called == 2; }));
  CHECK(stop.right == 1);
  CHECK(call.right == 1);
  c.close();
  run_out(context);
}

TEST_CASE("a listener that was closed or moved from gives bad_descriptor") {
  const temporary_folder folder;
  net::io_context context;
  asio_listener l(context, folder / "service");
  asio_listener moved = std::move(l);
  check(context, l);
  moved.close();
  check(context, moved);
}

TEST_CASE("a stream and a request that were moved from give bad_descriptor") {
  const temporary_folder folder;
  net::io_context context;
  errors e;
  int handled = 0;
  const auto moves = [&](asio_request r) -> net::awaitable<reply> {
    const asio_request kept = std::move(r);
    CHECK(r.method() == 0);
    CHECK(r.bytes().empty());
    CHECK(r.text().empty());
    CHECK(r.metadata().empty());
    CHECK(r.size() == 0);
    CHECK(r.peer().process == sys::peer_identity().process);
    CHECK_FALSE(r.deadline());
    CHECK_FALSE(r.stop_requested());
    r.async_read(e.handler());
    r.async_write(net::buffer("x", 1), e.handler());
    ++handled;
    co_return reply(kept.bytes());
  };
  asio_server server(context, folder / "service", moves);
  const auto call = [&]() -> net::awaitable<void> {
    asio_client c(context);
    co_await c.async_connect(folder / "service", net::use_awaitable);
    CHECK((co_await c.call(1, net::buffer("hello", 5))).text() == "hello");
    asio_call_stream s = c.open(1);
    asio_call_stream moved = std::move(s);
    CHECK_FALSE(s.is_open());
    s.finish();
    s.async_read(e.handler());
    s.async_reply(e.handler());
    s.async_write(net::buffer("x", 1), e.handler());
    moved.finish();
    co_await moved.async_reply(net::use_awaitable);
    server.close();
  };
  net::co_spawn(context, call(), rethrow);
  run_out(context);
  CHECK(handled == 2);
  CHECK(e.called == 7);
  CHECK(e.right == 7);
}

TEST_CASE("a result of run_in that was moved from or stopped can be stopped again") {
  net::io_context context;
  loop lp;
  running_loop running = run_in(lp, context);
  running_loop moved = std::move(running);
  running.stop();
  moved.stop();
  moved.stop();
  run_out(context);
}

}  // TEST_SUITE("asio states")
