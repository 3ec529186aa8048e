// SPDX-License-Identifier: BSL-1.0
// Lets TCP clients of this machine reach a ringbell service:
//
//     tcp_gateway [PORT [NAME]]
//
// Each connection becomes a channel. Port 0, the default, lets the system choose; the port is
// printed.
//
// It reads from the socket straight into the ring, and writes to it straight from the received
// message. Whoever is slow slows down the other side: no space in the ring, and the socket is not
// read; a socket that takes no more, and the message is not given back to the ring.
#include <asio.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <ringbell/asio.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;
using asio::awaitable;
using asio::redirect_error;
using asio::use_awaitable;
using asio::ip::tcp;

/// Until the client has sent its last byte, or the service takes no more.
awaitable<void> to_service(tcp::socket& client, ringbell::asio_channel& service) {
  const std::size_t chunk = std::min<std::size_t>(16 * 1024, service.max_claim());
  for (;;) {
    asio::error_code error;
    ringbell::claim space =
        co_await service.async_claim(chunk, redirect_error(use_awaitable, error));
    if (error == asio::error::connection_reset) co_return;  // it may still send
    if (error) throw asio::system_error(error);
    const std::size_t n = co_await client.async_read_some(asio::buffer(space.bytes().data(), chunk),
                                                          redirect_error(use_awaitable, error));
    if (error == asio::error::eof) break;
    if (error) throw asio::system_error(error);
    space.commit(n);
  }
  service.close_send();
}

/// Until the service has sent its last message. A client that takes no more may still send; so the
/// service is kept going.
awaitable<void> to_client(ringbell::asio_channel& service, tcp::socket& client) {
  asio::error_code gone;
  while (auto message = co_await service.recv())
    if (!gone)
      co_await asio::async_write(client, asio::buffer(message->data(), message->size()),
                                 redirect_error(use_awaitable, gone));
  client.shutdown(tcp::socket::shutdown_send, gone);
}

/// To close a socket that has not been read to its end is to reset the connection, and to take from
/// the client what it has not received yet. So it first gets its end of the stream, and then a
/// moment to close.
awaitable<void> hang_up(tcp::socket& client) {
  asio::error_code ignored;
  client.shutdown(tcp::socket::shutdown_send, ignored);
  asio::steady_timer limit(client.get_executor(), 2s);
  std::array<std::byte, 4096> rest;
  const auto read_on = [&]() -> awaitable<void> {
    asio::error_code error;
    while (!error)
      co_await client.async_read_some(asio::buffer(rest), redirect_error(use_awaitable, error));
  };
  co_await (read_on() || limit.async_wait(redirect_error(use_awaitable, ignored)));
}

awaitable<void> session(tcp::socket client, std::string name) {
  try {
    ringbell::asio_channel service =
        co_await ringbell::async_connect(client.get_executor(), name, use_awaitable);
    co_await (to_service(client, service) && to_client(service, client));
  } catch (const asio::multiple_exceptions&) {
    std::fprintf(stderr,
                 // in one direction; the other was cancelled for it
                 "a session ended: the client or the service has died\n");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "a session ended: %s\n", e.what());
  }
  co_await hang_up(client);
}

awaitable<void> serve(tcp::acceptor acceptor, std::string name) {
  for (;;)
    asio::co_spawn(acceptor.get_executor(),
                   session(co_await acceptor.async_accept(use_awaitable), name), asio::detached);
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
  asio::co_spawn(context, serve(std::move(acceptor), argc > 2 ? argv[2] : "echo"),
                 [](std::exception_ptr error) {
                   if (error) std::rethrow_exception(error);
                 });
  context.run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
