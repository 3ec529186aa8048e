// SPDX-License-Identifier: BSL-1.0
// After: the service of thread_per_connection.cpp, with a coroutine for each client and no thread:
//
//     coroutine_per_connection [NAME]
//
// It answers every message with itself. SIGUSR1 prints how many clients and threads there are;
// SIGINT and SIGTERM end it in order.
//
// What has gone: the threads, the list of them, the io_context that each slept in, waking one to
// end it, and joining it. What a session keeps between two messages is its coroutine, some hundred
// bytes. Its frame is destroyed with the context.
#include <asio.hpp>
#include <ringbell/asio.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iterator>

namespace {

using asio::awaitable;
using asio::use_awaitable;

awaitable<void> session(ringbell::asio_channel client) {
  while (auto message = co_await client.recv())
    co_await client.send(asio::buffer(message->data(), message->size()));
}

awaitable<void> serve(ringbell::asio_listener& listener) {
  // Detached: a client that was killed ends its own session, and nobody else's.
  for (;;)
    asio::co_spawn(listener.get_executor(), session(co_await listener.async_accept(use_awaitable)),
                   asio::detached);
}

awaitable<void> obey(asio::io_context& context, const ringbell::asio_listener& listener) {
  asio::signal_set signals(context, SIGINT, SIGTERM, SIGUSR1);
  while (co_await signals.async_wait(use_awaitable) == SIGUSR1) {
    const auto threads = std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
    std::printf("%zu clients, %td threads\n", listener.clients(), threads);
    std::fflush(stdout);
  }
  context.stop();
}

void rethrow(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

int main(int argc, char** argv) try {
  asio::io_context context(1);
  ringbell::asio_listener listener(context, argc > 1 ? argv[1] : "echo");
  asio::co_spawn(context, serve(listener), rethrow);
  asio::co_spawn(context, obey(context, listener), rethrow);
  context.run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
