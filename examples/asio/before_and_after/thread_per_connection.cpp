// SPDX-License-Identifier: BSL-1.0
// Before: an Asio service whose channels know only blocking calls, so that each client takes a
// thread:
//
//     thread_per_connection [NAME]
//
// It answers every message with itself. SIGUSR1 prints how many clients and threads there are;
// SIGINT and SIGTERM end it in order. coroutine_per_connection.cpp is its replacement.
//
// ringbell has no blocking calls. So that both programs speak with the same clients, recv() and
// send() below make such calls out of its operations: the thread starts one, then sleeps in an
// io_context of its own until it has ended. With a read from an eventfd in their place the rest
// would stay as it is: a thread for each client, a list of them, how one is woken to be told to
// end, and its joining.
#include <asio.hpp>
#include <ringbell/asio.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iterator>
#include <list>
#include <thread>
#include <utility>

namespace {

using asio::awaitable;
using asio::use_awaitable;

/// A connected client, the thread that serves it, and what that thread sleeps in. The channel
/// belongs to the thread.
struct client {
  client() = default;
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  ~client() {
    if (!thread.joinable()) return;
    asio::post(sleep,
               [this] { channel.close(); });  // the pending call fails, and so does the next one
    thread.join();
  }

  asio::io_context sleep{1};
  ringbell::asio_channel channel{sleep};
  std::thread thread;
};

/// Sleeps until the operation that was started has ended.
void wait(client& c, const asio::error_code& error) {
  c.sleep.restart();
  c.sleep.run();
  if (error) throw asio::system_error(error);
}

ringbell::message recv(client& from) {
  asio::error_code error;
  ringbell::message received;
  from.channel.async_recv([&](asio::error_code e, ringbell::message m) {
    error = e;
    received = std::move(m);
  });
  wait(from, error);
  return received;
}

void send(client& to, asio::const_buffer bytes) {
  asio::error_code error;
  to.channel.async_send(bytes, [&](asio::error_code e) { error = e; });
  wait(to, error);
}

/// In the client's thread.
void session(client& c) {
  try {
    for (;;) {
      const ringbell::message message = recv(c);
      send(c, asio::buffer(message.data(), message.size()));
    }
  } catch (const asio::system_error&) {
    // It has closed, or was killed, or we end.
  }
}

awaitable<void> serve(ringbell::asio_listener& listener, std::list<client>& clients) {
  for (;;) {
    const auto c = clients.emplace(clients.end());
    c->channel = co_await listener.async_accept(asio::any_io_executor(c->sleep.get_executor()),
                                                use_awaitable);
    c->thread = std::thread([c, &clients, executor = listener.get_executor()] {
      session(*c);
      asio::post(executor, [c, &clients] { clients.erase(c); });
    });
  }
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
  std::list<client> clients;
  asio::co_spawn(context, serve(listener, clients), rethrow);
  asio::co_spawn(context, obey(context, listener), rethrow);
  context.run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
