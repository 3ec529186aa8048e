// SPDX-License-Identifier: BSL-1.0
// Asio's objects on a socket that a service manager has made: the client is there before them.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>

#include "support/asio.hpp"
#include "support/asio_meeting.hpp"
#include "support/passed_socket.hpp"

TEST_SUITE("asio passed_socket") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

listener_options on(sys::native_handle socket) {
  listener_options options;
  options.socket = socket;
  return options;
}

}  // namespace

TEST_CASE("a listener accepts clients that connected before it was there") {
  const temporary_folder folder;
  const std::string path = folder / "s";
  const service_manager manager(path);
  net::io_context context;
  attempt client(context, path);
  context.poll();
  CHECK_FALSE(client.ended());
  asio_listener l(context, "", on(manager.pass()));
  CHECK(l.path() == path);
  pending_channel server(context);
  l.async_accept(server.handler());
  REQUIRE(run_until(context, [&] { return server.ended() && client.ended(); }));
  CHECK(server.succeeded());
  CHECK(client.succeeded());
  l.close();
  // The socket is still there for the next one.
  attempt next(context, path);
  asio_listener successor(context, path, on(manager.pass()));
  pending_channel second(context);
  successor.async_accept(second.handler());
  REQUIRE(run_until(context, [&] { return second.ended() && next.ended(); }));
  CHECK(second.succeeded());
  CHECK(next.succeeded());
}

TEST_CASE("an acceptor of streams takes a passed socket") {
  const temporary_folder folder;
  const std::string path = folder / "s";
  const service_manager manager(path);
  net::io_context context;
  std::optional<net_error_code> connected, accepted;
  asio_stream client(context);
  async_connect_stream(context, path, [&](net_error_code e, asio_stream s) {
    connected = e;
    client = std::move(s);
  });
  asio_stream_acceptor acceptor(context, "", on(manager.pass()));
  asio_stream server(context);
  acceptor.async_accept(server, [&](net_error_code e) { accepted = e; });
  REQUIRE(run_until(context, [&] { return connected && accepted; }));
  CHECK_FALSE(*connected);
  CHECK_FALSE(*accepted);
}

TEST_CASE("a service answers a call that was made before it was there") {
  const temporary_folder folder;
  const std::string path = folder / "s";
  const service_manager manager(path);
  net::io_context context;
  std::string answer;
  net::co_spawn(
      context,
      [&]() -> net::awaitable<void> {
        asio_client c(context);
        co_await c.async_connect(path, net::use_awaitable);
        const payload p = co_await c.async_call(
            method_id("greet"), net::buffer(std::string_view("you")), net::use_awaitable);
        answer = p.text();
      },
      net::detached);
  context.poll();
  server_options options;
  options.listening.socket = manager.pass();
  asio_server service(
      context, "",
      [](asio_request r) -> net::awaitable<reply> {
        co_return reply("hello, " + std::string(r.text()));
      },
      options);
  CHECK(service.path() == path);
  REQUIRE(run_until(context, [&] { return !answer.empty(); }));
  CHECK(answer == "hello, you");
}

}  // TEST_SUITE("asio passed_socket")
