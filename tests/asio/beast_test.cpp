// SPDX-License-Identifier: BSL-1.0
// Boost.Beast's HTTP and WebSocket over a stream, as they are over a socket.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>
#include <boost/beast.hpp>

#include <cstddef>
#include <string>
#include <thread>
#include <utility>

#include "support/asio.hpp"
#include "support/asio_streams.hpp"

TEST_SUITE("asio beast") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;

/// A session as Beast's examples have it: it knows nothing of ringbell.
template <class Stream>
net::awaitable<void> serve_http(Stream stream) {
  beast::flat_buffer buffer;
  for (;;) {
    http::request<http::string_body> request;
    net_error_code error;
    co_await http::async_read(stream, buffer, request,
                              net::redirect_error(net::use_awaitable, error));
    if (error == http::error::end_of_stream) break;
    if (error) throw net_system_error(error);
    http::response<http::string_body> response(http::status::ok, request.version());
    response.keep_alive(request.keep_alive());
    response.body() = std::string(request.target()) + " " + request.body();
    response.prepare_payload();
    co_await http::async_write(stream, response, net::use_awaitable);
    if (!response.keep_alive()) break;
  }
  stream.shutdown(net::socket_base::shutdown_send);
}

template <class Stream>
net::awaitable<void> ask_http(Stream stream, int& answered) {
  beast::flat_buffer buffer;
  for (const std::size_t size : {0, 10, 5000, 100'000}) {
    http::request<http::string_body> request(http::verb::post, "/echo", 11);
    request.body() = std::string(size, 'b');
    request.keep_alive(size != 100'000);
    request.prepare_payload();
    co_await http::async_write(stream, request, net::use_awaitable);
    http::response<http::string_body> response;
    co_await http::async_read(stream, buffer, response, net::use_awaitable);
    CHECK(response.result() == http::status::ok);
    CHECK(response.body() == "/echo " + request.body());
    ++answered;
  }
  http::response<http::string_body> none;
  net_error_code error;
  co_await http::async_read(stream, buffer, none, net::redirect_error(net::use_awaitable, error));
  CHECK(error == http::error::end_of_stream);
}

template <class Stream>
net::awaitable<void> serve_websocket(Stream stream) {
  websocket::stream<Stream> ws(std::move(stream));
  co_await ws.async_accept(net::use_awaitable);
  for (;;) {
    beast::flat_buffer buffer;
    net_error_code error;
    co_await ws.async_read(buffer, net::redirect_error(net::use_awaitable, error));
    if (error == websocket::error::closed) co_return;
    if (error) throw net_system_error(error);
    ws.text(ws.got_text());
    co_await ws.async_write(buffer.data(), net::use_awaitable);
  }
}

template <class Stream>
net::awaitable<void> ask_websocket(Stream stream, int& answered) {
  websocket::stream<Stream> ws(std::move(stream));
  co_await ws.async_handshake("localhost", "/", net::use_awaitable);
  for (const std::size_t size : {1, 126, 5000, 100'000}) {
    const std::string text(size, 'w');
    co_await ws.async_write(net::buffer(text), net::use_awaitable);
    beast::flat_buffer buffer;
    co_await ws.async_read(buffer, net::use_awaitable);
    CHECK(beast::buffers_to_string(buffer.data()) == text);
    ++answered;
  }
  co_await ws.async_close(websocket::close_code::normal, net::use_awaitable);
}

}  // namespace

TEST_CASE("HTTP requests of all sizes, and the end of the connection") {
  asio_streams s;
  int answered = 0;
  net::co_spawn(s.context, serve_http(std::move(s.server)), rethrow);
  net::co_spawn(s.context, ask_http(std::move(s.client), answered), rethrow);
  s.context.run();
  CHECK(answered == 4);
}

TEST_CASE("a WebSocket, its handshake and its close") {
  asio_streams s;
  int answered = 0;
  net::co_spawn(s.context, serve_websocket(std::move(s.server)), rethrow);
  net::co_spawn(s.context, ask_websocket(std::move(s.client), answered), rethrow);
  s.context.run();
  CHECK(answered == 4);
}

TEST_CASE("the blocking calls of Beast read and write HTTP") {
  asio_streams s;
  std::thread server([stream = std::move(s.server)]() mutable {
    beast::flat_buffer buffer;
    http::request<http::string_body> request;
    http::read(stream, buffer, request);
    http::response<http::string_body> response(http::status::ok, 11);
    response.body() = "to " + std::string(request.target());
    response.prepare_payload();
    http::write(stream, response);
  });
  http::request<http::empty_body> request(http::verb::get, "/thread", 11);
  http::write(s.client, request);
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  http::read(s.client, buffer, response);
  server.join();
  CHECK(response.body() == "to /thread");
}

}  // TEST_SUITE("asio beast")
