// SPDX-License-Identifier: BSL-1.0
// TLS by asio::ssl::stream. The session is a template, and serves TCP and shared memory by the same
// code. It sends each line back, encrypted.
//
//     tls serve PORT NAME CERTIFICATE KEY    serves both; port 0 lets the system choose; it is
//                                            printed
//     tls ask NAME CERTIFICATE LINE...       asks over shared memory, a line for each argument
//
// The client trusts CERTIFICATE (PEM) alone, which has to be for `localhost`. This makes one:
//
//     openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost
//         -addext subjectAltName=DNS:localhost -keyout key.pem -out certificate.pem
#include <asio.hpp>
#include <asio/ssl.hpp>

#include <ringbell/asio.hpp>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

namespace {

namespace ssl = asio::ssl;
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

/// Sends each line back. `eof` is the client's orderly end. A connection that ends without one may
/// have been cut by somebody, and the error is `stream_truncated`.
template <class Stream>
awaitable<void> session(Stream connection, ssl::context& tls) {
  ssl::stream<Stream> client(std::move(connection), tls);
  co_await client.async_handshake(ssl::stream_base::server, use_awaitable);
  std::string received;
  for (;;) {
    asio::error_code error;
    const std::size_t line =
        co_await asio::async_read_until(client, asio::dynamic_buffer(received, 64 * 1024), '\n',
                                        asio::redirect_error(use_awaitable, error));
    if (error == asio::error::eof) break;
    if (error) throw asio::system_error(error);
    co_await asio::async_write(client, asio::buffer(received, line), use_awaitable);
    received.erase(0, line);
  }
  co_await client.async_shutdown(use_awaitable);
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
awaitable<void> serve(Acceptor acceptor, ssl::context& tls) {
  for (;;)
    asio::co_spawn(acceptor.get_executor(),
                   session(co_await acceptor.async_accept(use_awaitable), tls), session_ended);
}

awaitable<void> ask(std::string name, ssl::context& tls, int count, char** lines) {
  ssl::stream<ringbell::asio_stream> server(
      co_await ringbell::async_connect_stream(co_await asio::this_coro::executor, std::move(name),
                                              use_awaitable),
      tls);
  server.set_verify_callback(ssl::host_name_verification("localhost"));
  co_await server.async_handshake(ssl::stream_base::client, use_awaitable);
  std::string received;
  for (int i = 0; i < count; ++i) {
    const std::string line = lines[i] + std::string("\n");
    co_await asio::async_write(server, asio::buffer(line), use_awaitable);
    const std::size_t end = co_await asio::async_read_until(server, asio::dynamic_buffer(received),
                                                            '\n', use_awaitable);
    std::printf("%s", received.substr(0, end).c_str());
    received.erase(0, end);
  }
  // Says that nothing follows, and waits until the server has said the same.
  co_await server.async_shutdown(use_awaitable);
}

/// What ends a task of main() ends the program.
void task_ended(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

int main(int argc, char** argv) try {
  asio::io_context context(1);
  if (argc == 6 && std::strcmp(argv[1], "serve") == 0) {
    ssl::context tls(ssl::context::tls_server);
    tls.use_certificate_chain_file(argv[4]);
    tls.use_private_key_file(argv[5], ssl::context::pem);
    asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](const asio::error_code&, int) { context.stop(); });
    const auto port = static_cast<asio::ip::port_type>(std::atoi(argv[2]));
    tcp::acceptor sockets(context, {asio::ip::address_v4::loopback(), port});
    std::printf("%u\n", sockets.local_endpoint().port());
    std::fflush(stdout);
    asio::co_spawn(context, serve(std::move(sockets), tls), task_ended);
    asio::co_spawn(context, serve(ringbell::asio_stream_acceptor(context, argv[3]), tls),
                   task_ended);
    context.run();
    return 0;
  }
  if (argc >= 4 && std::strcmp(argv[1], "ask") == 0) {
    ssl::context tls(ssl::context::tls_client);
    tls.load_verify_file(argv[3]);
    tls.set_verify_mode(ssl::verify_peer);
    asio::co_spawn(context, ask(argv[2], tls, argc - 4, argv + 4), task_ended);
    context.run();
    return 0;
  }
  std::fprintf(stderr, "usage: tls serve PORT NAME CERTIFICATE KEY | "
                       "tls ask NAME CERTIFICATE LINE...\n");
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "tls: %s\n", error.what());
  return 1;
}
