// SPDX-License-Identifier: BSL-1.0
// A service whose handlers wait for a TCP server behind it, within Asio's own coroutines:
//
//     upstream_service serve NAME PORT    answers each call by what the server on 127.0.0.1:PORT sends back for it, until SIGTERM
//     upstream_service ask NAME TEXT      calls it, and prints the answer
//
// Try it with tcp_echo as the server behind it. A caller that gives up, or dies, cancels its
// handler, and so the handler's socket operation.
#include <asio.hpp>
#include <ringbell/asio.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

namespace {

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr std::uint32_t ask_method = ringbell::method_id("ask");

/// One question, one connection. What it throws, an `asio::system_error`, becomes the caller's
/// error with the system's code: "connection refused", for instance.
awaitable<ringbell::reply> ask_upstream(tcp::endpoint upstream, ringbell::asio_request question) {
  if (question.method() != ask_method) throw std::system_error(ringbell::errc::no_such_method);
  if (question.size() == 0) throw ringbell::call_error(1, "an empty question");
  tcp::socket socket(question.get_executor());
  co_await socket.async_connect(upstream, use_awaitable);
  co_await asio::async_write(socket, asio::buffer(question.bytes().data(), question.size()),
                             use_awaitable);
  std::string answer(question.size(), '\0');
  co_await asio::async_read(socket, asio::buffer(answer), use_awaitable);
  co_return ringbell::reply(std::move(answer));
}

int serve(const char* name, const char* port) {
  asio::io_context context(1);
  const tcp::endpoint upstream(asio::ip::address_v4::loopback(),
                               static_cast<asio::ip::port_type>(std::atoi(port)));
  ringbell::asio_server server(context, name, [upstream](ringbell::asio_request r) {
    return ask_upstream(upstream, std::move(r));
  });
  std::printf("%s\n", server.path().c_str());
  std::fflush(stdout);

  // In order: no new calls, those under way have five seconds. Then nothing is left that keeps the
  // context running.
  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](const asio::error_code&, int) {
    server.async_stop(5s, [&](const asio::error_code&, bool) { server.close(); });
  });
  context.run();
  return 0;
}

awaitable<void> ask(const char* name, std::string_view text) {
  ringbell::asio_client client(co_await asio::this_coro::executor);
  co_await client.async_connect(name, use_awaitable);
  ringbell::call_options options;
  options.timeout = 10s;
  const ringbell::payload answer = co_await client.call(ask_method, asio::buffer(text), options);
  std::printf("%.*s\n", static_cast<int>(answer.size()), answer.text().data());
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view what = argc == 4 ? argv[1] : "";
  if (what == "serve") return serve(argv[2], argv[3]);
  if (what != "ask") {
    std::fprintf(stderr, "usage: upstream_service serve NAME PORT | ask NAME TEXT\n");
    return 2;
  }
  asio::io_context context(1);
  asio::co_spawn(context, ask(argv[2], argv[3]), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  context.run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "upstream_service: %s\n", error.what());
  return 1;
}
