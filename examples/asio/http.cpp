// SPDX-License-Identifier: BSL-1.0
// HTTP and WebSocket by Boost.Beast. The session is a template, and serves TCP and shared memory by
// the same code:
//
//     http serve PORT NAME      serves both; port 0 lets the system choose; it is printed
//     http get NAME TARGET      a request over shared memory
//     http talk NAME TEXT...    a WebSocket over shared memory: each text comes back
#define RINGBELL_BOOST_ASIO
#include <ringbell/asio.hpp>

#include <boost/beast.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;
using boost::system::error_code;

/// Sends back what comes, until the client closes.
template <class Stream>
awaitable<void> websocket_session(Stream client, http::request<http::string_body> upgrade) {
  websocket::stream<Stream> ws(std::move(client));
  co_await ws.async_accept(upgrade, use_awaitable);
  for (;;) {
    beast::flat_buffer message;
    error_code error;
    co_await ws.async_read(message, asio::redirect_error(use_awaitable, error));
    if (error == websocket::error::closed) co_return;
    if (error) throw boost::system::system_error(error);
    ws.text(ws.got_text());
    co_await ws.async_write(message.data(), use_awaitable);
  }
}

template <class Stream>
awaitable<void> session(Stream client) {
  beast::flat_buffer buffer;
  for (;;) {
    http::request<http::string_body> request;
    error_code error;
    co_await http::async_read(client, buffer, request, asio::redirect_error(use_awaitable, error));
    if (error == http::error::end_of_stream) co_return;
    if (error) throw boost::system::system_error(error);
    if (websocket::is_upgrade(request))
      co_return co_await websocket_session(std::move(client), std::move(request));
    http::response<http::string_body> response(http::status::ok, request.version());
    response.set(http::field::content_type, "text/plain");
    response.keep_alive(request.keep_alive());
    response.body() = "you asked for " + std::string(request.target()) + "\n";
    response.prepare_payload();
    co_await http::async_write(client, response, use_awaitable);
    if (!response.keep_alive()) co_return;
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

awaitable<void> get(std::string name, std::string target) {
  ringbell::asio_stream server = co_await ringbell::async_connect_stream(
      co_await asio::this_coro::executor, std::move(name), use_awaitable);
  http::request<http::empty_body> request(http::verb::get, target, 11);
  request.set(http::field::host, "localhost");
  co_await http::async_write(server, request, use_awaitable);
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  co_await http::async_read(server, buffer, response, use_awaitable);
  std::printf("%s", response.body().c_str());
}

awaitable<void> talk(std::string name, int count, char** texts) {
  websocket::stream<ringbell::asio_stream> ws(co_await ringbell::async_connect_stream(
      co_await asio::this_coro::executor, std::move(name), use_awaitable));
  co_await ws.async_handshake("localhost", "/", use_awaitable);
  for (int i = 0; i < count; ++i) {
    co_await ws.async_write(asio::buffer(texts[i], std::strlen(texts[i])), use_awaitable);
    beast::flat_buffer answer;
    co_await ws.async_read(answer, use_awaitable);
    std::printf("%s\n", beast::buffers_to_string(answer.data()).c_str());
  }
  co_await ws.async_close(websocket::close_code::normal, use_awaitable);
}

/// What ends a task of main() ends the program.
void task_ended(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

int main(int argc, char** argv) try {
  asio::io_context context(1);
  asio::signal_set signals(context);
  const std::string what = argc > 1 ? argv[1] : "";
  if (argc == 4 && what == "serve") {
    signals.add(SIGINT);
    signals.add(SIGTERM);
    signals.async_wait([&](const error_code&, int) { context.stop(); });
    const auto port = static_cast<asio::ip::port_type>(std::atoi(argv[2]));
    tcp::acceptor sockets(context, {asio::ip::address_v4::loopback(), port});
    std::printf("%u\n", sockets.local_endpoint().port());
    std::fflush(stdout);
    asio::co_spawn(context, serve(std::move(sockets)), task_ended);
    asio::co_spawn(context, serve(ringbell::asio_stream_acceptor(context, argv[3])), task_ended);
  } else if (argc == 4 && what == "get") {
    asio::co_spawn(context, get(argv[2], argv[3]), task_ended);
  } else if (argc >= 3 && what == "talk") {
    asio::co_spawn(context, talk(argv[2], argc - 3, argv + 3), task_ended);
  } else {
    std::fprintf(stderr, "usage: http serve PORT NAME | get NAME TARGET | talk NAME TEXT...\n");
    return 2;
  }
  context.run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "http: %s\n", error.what());
  return 1;
}
