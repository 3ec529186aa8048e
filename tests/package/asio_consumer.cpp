// SPDX-License-Identifier: BSL-1.0
// A user of the installed headers for Asio: a channel with both ends on one io_context.
#include <ringbell/asio.hpp>

#include <cstdlib>
#include <string>

namespace net = ringbell::net;

namespace {

net::awaitable<void> serve(ringbell::asio_listener& listener) {
  ringbell::asio_channel ch = co_await listener.async_accept(net::use_awaitable);
  while (auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
}

net::awaitable<void> ask(std::string name, bool& answered) {
  ringbell::asio_channel ch =
      co_await ringbell::async_connect(co_await net::this_coro::executor, name, net::use_awaitable);
  co_await ch.send(net::buffer("hello", 5));
  const auto answer = co_await ch.recv();
  answered = answer && answer->text() == "hello";
  // The library and the program must have the same objects for Asio's categories.
  ch.close_send();
  ringbell::net_error_code error;
  co_await ch.async_recv(net::redirect_error(net::use_awaitable, error));
  answered = answered && error == net::error::eof;
}

}  // namespace

int main(int, char** argv) {
  const std::string name = std::string(argv[0]) + ".socket";
  net::io_context context;
  ringbell::asio_listener listener(context, name);
  bool answered = false;
  net::co_spawn(context, serve(listener), net::detached);
  net::co_spawn(context, ask(name, answered), net::detached);
  context.run();
  return answered ? EXIT_SUCCESS : EXIT_FAILURE;
}
