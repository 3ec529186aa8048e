// SPDX-License-Identifier: BSL-1.0
// ringbell's operations in coroutines of Boost.Cobalt.
#include "peer.hpp"

#include <boost/cobalt.hpp>

#include <boost/asio.hpp>

#include <array>
#include <chrono>
#include <string>
#include <utility>

namespace {

using namespace ringbell;
using namespace ringbell::test::matrix;
namespace cobalt = boost::cobalt;
using namespace std::chrono_literals;

cobalt::promise<void> echo_messages(asio_listener& listener) {
  asio_channel ch = co_await listener.async_accept(cobalt::use_op);
  for (;;) {
    auto [error, m] = co_await cobalt::as_tuple(ch.async_recv(cobalt::use_op));
    if (error == net::error::eof) co_return;
    check(!error, "the server receives");
    co_await ch.async_send(buffer(m), cobalt::use_op);
  }
}

cobalt::task<void> ask_messages(const service_name& name) {
  const net::any_io_executor executor = co_await cobalt::this_coro::executor;
  asio_listener listener(executor, std::string(name));
  auto serving = echo_messages(listener);
  // The default token of a channel whose executor says so.
  cobalt::use_op_t::as_default_on_t<asio_channel> ch(
      co_await async_connect(executor, std::string(name), cobalt::use_op));
  for (const std::string text : {"one", "two", "three"}) {
    co_await ch.async_send(net::buffer(text));
    const message m = co_await ch.async_recv();
    check(m.text() == text, "the answer");
  }

  // A race cancels the loser, and nothing is lost.
  net::steady_timer soon(executor, 1ms);
  const auto first = co_await cobalt::race(ch.async_recv(), soon.async_wait(cobalt::use_op));
  check(first.index() == 1, "the timer wins");
  co_await ch.async_send(net::buffer("later", 5));
  check((co_await ch.async_recv()).text() == "later", "what came after the race");
  ch.close();
  co_await serving;
}

cobalt::promise<void> echo_bytes(asio_stream& s) {
  std::array<char, 100> bytes;
  for (;;) {
    auto [error, n] =
        co_await cobalt::as_tuple(s.async_read_some(net::buffer(bytes), cobalt::use_op));
    if (error == net::error::eof) co_return;
    co_await net::async_write(s, net::buffer(bytes.data(), n), cobalt::use_op);
  }
}

cobalt::task<void> ask_bytes(const service_name& name) {
  const net::any_io_executor executor = co_await cobalt::this_coro::executor;
  asio_stream_acceptor acceptor(executor, std::string(name));
  asio_stream server(executor);
  auto client = std::get<1>(
      co_await cobalt::join(acceptor.async_accept(server, cobalt::use_op),
                            async_connect_stream(executor, std::string(name), cobalt::use_op)));
  auto serving = echo_bytes(server);
  std::array<char, 5> back;
  co_await net::async_write(client, net::buffer("hello", 5), cobalt::use_op);
  co_await net::async_read(client, net::buffer(back), cobalt::use_op);
  check(std::string(back.data(), 5) == "hello", "the bytes");
  client.close();
  co_await serving;
}

cobalt::task<void> fail(const service_name& name) {
  const net::any_io_executor executor = co_await cobalt::this_coro::executor;
  connect_options at_once;
  at_once.timeout = 0ms;
  auto [error, ch] =
      co_await cobalt::as_tuple(async_connect(executor, name.nobody(), at_once, cobalt::use_op));
  check(error && !ch.is_open(), "nobody is there");
}

}  // namespace

int main() {
  const service_name messages, bytes;
  cobalt::run(ask_messages(messages));
  cobalt::run(ask_bytes(bytes));
  cobalt::run(fail(messages));
  note("channel, stream, accept, connect, race, join, default tokens");
}
