// SPDX-License-Identifier: BSL-1.0
// A line protocol, as there are many on TCP: each line is answered by one. The session is a
// template, so it serves sockets and streams in shared memory by the same code:
//
//     line_protocol serve PORT NAME    serves both; port 0 lets the system choose; it is printed
//     line_protocol ask NAME LINE...   asks over shared memory, a line for each argument
#include <asio.hpp>

#include <ringbell/asio.hpp>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

namespace {

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

/// Answers each line by itself in capital letters, until the client has ended its writing.
template <class Stream>
awaitable<void> session(Stream client) {
  std::string received;
  for (;;) {
    asio::error_code error;
    const std::size_t line =
        co_await asio::async_read_until(client, asio::dynamic_buffer(received, 64 * 1024), '\n',
                                        asio::redirect_error(use_awaitable, error));
    if (error == asio::error::eof) co_return;
    if (error) throw asio::system_error(error);
    std::string answer = received.substr(0, line);
    received.erase(0, line);
    std::transform(answer.begin(), answer.end(), answer.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    co_await asio::async_write(client, asio::buffer(answer), use_awaitable);
  }
}

/// A session that fails ends; the others go on.
void session_ended(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "a session ended: %s\n", e.what());
  }
}

template <class Acceptor>
awaitable<void> serve(Acceptor acceptor) {
  for (;;)
    asio::co_spawn(acceptor.get_executor(), session(co_await acceptor.async_accept(use_awaitable)),
                   session_ended);
}

awaitable<void> ask(std::string name, int count, char** lines) {
  ringbell::asio_stream server = co_await ringbell::async_connect_stream(
      co_await asio::this_coro::executor, std::move(name), use_awaitable);
  std::string received;
  for (int i = 0; i < count; ++i) {
    const std::string line = lines[i] + std::string("\n");
    co_await asio::async_write(server, asio::buffer(line), use_awaitable);
    const std::size_t end = co_await asio::async_read_until(server, asio::dynamic_buffer(received),
                                                            '\n', use_awaitable);
    std::printf("%s", received.substr(0, end).c_str());
    received.erase(0, end);
  }
}

/// What ends a task of main() ends the program.
void task_ended(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

int main(int argc, char** argv) try {
  asio::io_context context(1);
  if (argc == 4 && std::strcmp(argv[1], "serve") == 0) {
    asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](const asio::error_code&, int) { context.stop(); });
    const auto port = static_cast<asio::ip::port_type>(std::atoi(argv[2]));
    tcp::acceptor sockets(context, {asio::ip::address_v4::loopback(), port});
    std::printf("%u\n", sockets.local_endpoint().port());
    std::fflush(stdout);
    asio::co_spawn(context, serve(std::move(sockets)), task_ended);
    asio::co_spawn(context, serve(ringbell::asio_stream_acceptor(context, argv[3])), task_ended);
    context.run();
    return 0;
  }
  if (argc >= 3 && std::strcmp(argv[1], "ask") == 0) {
    asio::co_spawn(context, ask(argv[2], argc - 3, argv + 3), task_ended);
    context.run();
    return 0;
  }
  std::fprintf(stderr, "usage: line_protocol serve PORT NAME | line_protocol ask NAME LINE...\n");
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "line_protocol: %s\n", error.what());
  return 1;
}
