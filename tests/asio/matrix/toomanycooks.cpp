// SPDX-License-Identifier: BSL-1.0
// ringbell's operations in tasks of TooManyCooks: on its executor of Asio's, and on its own pool of
// threads.
#include "peer.hpp"

#include <asio.hpp>

#define TMC_IMPL
#include <tmc/all_headers.hpp>
#include <tmc/asio/aw_asio.hpp>
#include <tmc/asio/ex_asio.hpp>

#include <array>
#include <chrono>
#include <string>
#include <tuple>
#include <utility>

namespace {

using namespace ringbell;
using namespace ringbell::test::matrix;
using namespace std::chrono_literals;

tmc::task<void> echo_messages(asio_listener& listener) {
  auto [failed, ch] = co_await listener.async_accept(tmc::aw_asio);
  check(!failed, "the accept");
  for (;;) {
    auto [error, m] = co_await ch.async_recv(tmc::aw_asio);
    if (error == net::error::eof) co_return;
    check(!error, "the server receives");
    auto [sent] = co_await ch.async_send(buffer(m), tmc::aw_asio);
    check(!sent, "the server sends");
  }
}

tmc::task<void> ask_messages(std::string name) {
  auto [failed, connected] = co_await async_connect(tmc::asio_executor(), name, tmc::aw_asio);
  check(!failed, "the connect");
  auto ch = tmc::aw_asio_t::as_default_on(std::move(connected));
  for (const std::string text : {"one", "two", "three"}) {
    auto [sent] = co_await ch.async_send(net::buffer(text));
    check(!sent, "the client sends");
    auto [error, m] = co_await ch.async_recv();
    check(!error && m.text() == text, "the answer");
  }
  // It goes on where it is told to.
  auto [sent] = co_await ch.async_send(net::buffer("here", 4)).resume_on(tmc::asio_executor());
  auto [error, m] = co_await ch.async_recv(1s, tmc::aw_asio).resume_on(tmc::asio_executor());
  check(!sent && !error && m.text() == "here", "the answer on the executor of Asio's");
}

tmc::task<void> talk_bytes(std::string name) {
  asio_stream_acceptor acceptor(tmc::asio_executor(), name);
  asio_stream server(tmc::asio_executor());
  auto [accepted, connected] =
      co_await tmc::spawn_tuple(acceptor.async_accept(server, tmc::aw_asio),
                                async_connect_stream(tmc::asio_executor(), name, tmc::aw_asio));
  auto& [failed, client] = connected;
  check(!std::get<0>(accepted) && !failed, "the streams connect");
  std::array<char, 5> back;
  auto [written, n] = co_await net::async_write(client, net::buffer("hello", 5), tmc::aw_asio);
  auto [read, m] = co_await net::async_read(server, net::buffer(back), tmc::aw_asio);
  check(!written && !read && n == 5 && m == 5 && std::string(back.data(), 5) == "hello",
        "the bytes");
}

}  // namespace

int main() {
  const service_name messages, bytes;
  tmc::asio_executor().init();
  const int status = tmc::async_main([](std::string name, std::string other) -> tmc::task<int> {
    {
      asio_listener listener(tmc::asio_executor(), name);
      co_await tmc::spawn_tuple(echo_messages(listener), ask_messages(name));
    }
    co_await talk_bytes(other);
    co_return 0;
  }(messages, bytes));
  if (status == 0) note("channel, stream, accept, connect, default tokens, resume_on");
  return status;
}
