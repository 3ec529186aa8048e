// SPDX-License-Identifier: BSL-1.0
// An Asio echo service on TCP, as there are many, that now has an endpoint in shared memory as
// well:
//
//     tcp_echo [PORT [NAME]]
//
// Port 0, the default, lets the system choose; the port is printed. Nine lines are new; they stand
// between "from here" and "to here".
#include <asio.hpp>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

// ringbell: from here
#include <ringbell/asio.hpp>
// to here

namespace {

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

/// A session that fails (its client was killed, say) ends, and nobody else's does.
void session_ended(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "a session ended: %s\n", e.what());
  }
}

awaitable<void> session(tcp::socket client) {
  std::array<char, 4096> bytes;
  for (;;) {
    asio::error_code error;
    const std::size_t n = co_await client.async_read_some(
        asio::buffer(bytes), asio::redirect_error(use_awaitable, error));
    if (error == asio::error::eof) co_return;
    if (error) throw asio::system_error(error);
    co_await asio::async_write(client, asio::buffer(bytes, n), use_awaitable);
  }
}

awaitable<void> serve(tcp::acceptor acceptor) {
  for (;;)
    asio::co_spawn(acceptor.get_executor(), session(co_await acceptor.async_accept(use_awaitable)),
                   session_ended);
}

// ringbell: from here
awaitable<void> session(ringbell::asio_channel client) {
  while (auto message =
             co_await client.recv())  // bytes where the client wrote them; empty when it has closed
    co_await client.send(buffer(*message));  // waits only while the ring is full
}

awaitable<void> serve(ringbell::asio_listener listener) {
  for (;;)
    asio::co_spawn(listener.get_executor(), session(co_await listener.async_accept(use_awaitable)),
                   session_ended);
}
// to here

/// What ends the accepting ends the program.
void service_ended(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

int main(int argc, char** argv) try {
  asio::io_context context(1);
  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](const asio::error_code&, int) { context.stop(); });

  const auto port = static_cast<asio::ip::port_type>(argc > 1 ? std::atoi(argv[1]) : 0);
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), port});
  std::printf("%u\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  asio::co_spawn(context, serve(std::move(acceptor)), service_ended);
  // ringbell: from here
  asio::co_spawn(context, serve(ringbell::asio_listener(context, argc > 2 ? argv[2] : "echo")),
                 service_ended);
  // to here

  // After a signal the destructor of the context ends what is left: it closes sockets and channels,
  // and removes the listener's file.
  context.run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
