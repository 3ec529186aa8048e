// SPDX-License-Identifier: BSL-1.0
// One native loop, and on it side by side: an asio::awaitable with a timer and a channel of Asio's,
// and a native task:
//
//     native_loop [NAME]
//
// Both talk to an echo service; each prints what it hears. There is no io_context.
#include <asio.hpp>
#include <ringbell/asio.hpp>
#include <ringbell/ringbell.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

namespace {

using namespace std::chrono_literals;
using asio::use_awaitable;

/// Asio's coroutine, Asio's timer, a channel as an Asio I/O object.
asio::awaitable<void> ask_by_asio(std::string name) {
  const auto executor = co_await asio::this_coro::executor;
  ringbell::asio_channel ch = co_await ringbell::async_connect(executor, name, use_awaitable);
  asio::steady_timer pause(executor);
  for (int i = 0; i < 3; ++i) {
    const std::string question = "asio " + std::to_string(i);
    co_await ch.send(asio::buffer(question));
    if (auto reply = co_await ch.recv())
      std::printf("%.*s\n", static_cast<int>(reply->size()), reply->text().data());
    pause.expires_after(10ms);
    co_await pause.async_wait(use_awaitable);
  }
}

/// A native task with a native channel and a native timer.
ringbell::task<> ask(ringbell::loop& lp, std::string name) {
  ringbell::channel ch = co_await ringbell::connect(lp, name);
  for (int i = 0; i < 3; ++i) {
    co_await ch.send("native " + std::to_string(i));
    if (auto reply = co_await ch.recv())
      std::printf("%.*s\n", static_cast<int>(reply->size()), reply->text().data());
    co_await ringbell::sleep_for(10ms);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string name = argc > 1 ? argv[1] : "echo";
  ringbell::loop lp;
  asio::co_spawn(ringbell::asio_executor(lp), ask_by_asio(name), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);  // out of run_until_idle()
  });
  lp.run(ask(lp, name));
  lp.run_until_idle();  // until Asio's coroutine has ended as well
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
