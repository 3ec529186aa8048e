// SPDX-License-Identifier: BSL-1.0
// A million turns of loops of awaited helpers: native tasks on a loop that an io_context drives,
// and Asio's coroutines on a channel.
#include <ringbell/asio.hpp>
#include <ringbell/ringbell.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace net = ringbell::net;

namespace {

constexpr int turns = 1'000'000;
constexpr int messages = 100'000;
constexpr int at_once = 50;  // as many as a ring has room for, so that nobody waits

ringbell::task<int> one(int i) { co_return i % 2; }

ringbell::task<> native(net::io_context& context, ringbell::running_loop& running, bool& right) {
  std::int64_t sum = 0;
  for (int i = 0; i < turns; ++i) sum += co_await one(i);
  right = sum == turns / 2;
  net::post(context, [&running] { running.stop(); });
}

net::awaitable<void> send_one(ringbell::asio_channel& ch) {
  co_await ch.send(net::buffer("hello", 5));
}
net::awaitable<std::size_t> receive_one(ringbell::asio_channel& ch) {
  const auto m = co_await ch.recv();
  co_return m ? m->size() : 0;
}

net::awaitable<void> accept(ringbell::asio_listener& listener, ringbell::asio_channel& to) {
  to = co_await listener.async_accept(net::use_awaitable);
}

net::awaitable<void> exchange(std::string name, ringbell::asio_channel& server, bool& right) {
  ringbell::asio_channel client =
      co_await ringbell::async_connect(co_await net::this_coro::executor, name, net::use_awaitable);
  while (!server.is_open()) co_await net::post(net::use_awaitable);
  std::size_t sum = 0;
  for (int i = 0; i < messages; i += at_once) {
    for (int k = 0; k < at_once; ++k) co_await send_one(client);
    for (int k = 0; k < at_once; ++k) sum += co_await receive_one(server);
  }
  right = sum == std::size_t{5} * messages;
}

}  // namespace

int main(int, char** argv) {
  const std::string name = std::string(argv[0]) + ".socket";
  net::io_context context;
  ringbell::loop lp;
  auto running = ringbell::run_in(lp, context);
  ringbell::asio_listener listener(context, name);
  ringbell::asio_channel server(context);
  bool native_right = false;
  bool exchange_right = false;
  lp.spawn(native(context, running, native_right));
  net::co_spawn(context, accept(listener, server), net::detached);
  net::co_spawn(context, exchange(name, server, exchange_right), net::detached);
  context.run();
  return native_right && exchange_right ? EXIT_SUCCESS : EXIT_FAILURE;
}
