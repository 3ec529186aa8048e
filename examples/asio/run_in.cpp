// SPDX-License-Identifier: BSL-1.0
// An io_context that was there before, and native tasks that run in it:
//
//     run_in [NAME]
//
// The echo service of examples/echo_server.cpp beside an Asio timer and Asio's signals, in one
// thread. Until Ctrl-C or SIGTERM.
#include <asio.hpp>
#include <ringbell/asio.hpp>
#include <ringbell/ringbell.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

namespace {

using namespace std::chrono_literals;

ringbell::task<> session(ringbell::channel ch) {
  while (auto msg = co_await ch.recv()) co_await ch.send(msg->bytes());
}

ringbell::task<> serve(ringbell::scope& clients, ringbell::listener listener) {
  for (;;) clients.spawn(session(co_await listener.accept()));
}

/// Asio's own work goes on beside it: here, every ten seconds, how many there are.
asio::awaitable<void> count(const ringbell::scope& clients) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (;;) {
    timer.expires_after(10s);
    co_await timer.async_wait(asio::use_awaitable);
    std::printf("%zu clients\n", clients.size());
  }
}

}  // namespace

int main(int argc, char** argv) try {
  asio::io_context context(1);
  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](const asio::error_code&, int) { context.stop(); });

  ringbell::loop lp;
  ringbell::scope clients(lp);
  clients.on_error([](std::exception_ptr) {
  });  // a client that was killed ends its own session, and nobody else's
  lp.spawn(serve(clients, ringbell::listener::bind(lp, argc > 1 ? argv[1] : "echo")));
  asio::co_spawn(context, count(clients), asio::detached);

  // From here on whoever runs the context runs the loop. It sleeps in the context, and nowhere
  // else.
  const ringbell::running_loop running = ringbell::run_in(lp, context);
  context.run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
