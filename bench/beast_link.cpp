// SPDX-License-Identifier: BSL-1.0
// HTTP by Boost.Beast: the same session over ringbell's stream and over a Unix socket.
#define RINGBELL_BOOST_ASIO
#include "asio_context.hpp"
#include "blocking_link.hpp"
#include "contenders.hpp"

#include <ringbell/asio.hpp>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>

#include <sys/socket.h>
#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace ringbell::bench {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using unix_socket = net::local::stream_protocol::socket;

template <class Stream>
net::awaitable<void> serve(Stream& client, std::uint64_t requests, std::string body) {
  beast::flat_buffer buffer;
  for (; requests != 0; --requests) {
    http::request<http::string_body> request;
    co_await http::async_read(client, buffer, request, net::use_awaitable);
    http::response<http::string_body> response(http::status::ok, request.version());
    response.set(http::field::content_type, "text/plain");
    response.keep_alive(request.keep_alive());
    response.body() = body;
    response.prepare_payload();
    co_await http::async_write(client, response, net::use_awaitable);
  }
}

template <class Stream, class Watch>
net::awaitable<void> ask(Stream& server, const slice& s, Watch& watch) {
  beast::flat_buffer buffer;
  for (std::uint64_t i = 0; i < s.all(); ++i) {
    if (i == s.lead_in) watch.start();
    watch.pace();
    http::request<http::empty_body> request(http::verb::get, "/", 11);
    request.set(http::field::host, "localhost");
    co_await http::async_write(server, request, net::use_awaitable);
    http::response<http::string_body> response;
    co_await http::async_read(server, buffer, response, net::use_awaitable);
    if (response.body().size() != s.size) throw std::runtime_error("the reply has a wrong size");
    if (i >= s.lead_in) watch.lap();
  }
  watch.stop();
}

/// Requests and replies. `Way` opens the stream. There is no traffic in one direction alone.
template <class Way>
class http_link final : public link {
public:
  template <class... Arguments>
  explicit http_link(const Arguments&... arguments) : way_(arguments...) {}

  std::vector<int> descriptors() const override { return way_.descriptors(); }
  void listen() override { way_.listen(io_.make()); }
  void accept() override { way_.accept(io_.get()); }
  void connect() override { way_.connect(io_.make()); }

  void ping(const slice& s, times& t) override {
    with_stopwatch(s, t, [&](auto& watch) { io_.finish(ask(way_.connection(), s, watch)); });
  }
  void answer(const slice& s) override {
    io_.finish(serve(way_.connection(), s.all(), std::string(s.size, 'x')));
  }
  void send(const slice&, times&) override { throw std::logic_error("HTTP is not one-way"); }
  void receive(const slice&) override { throw std::logic_error("HTTP is not one-way"); }
  wake_counts wakes() const override { return way_.wakes(); }

private:
  asio_context io_;  // outlives the stream
  Way way_;
};

using ringbell_way = opened_way<asio_stream, asio_stream_acceptor>;

class socket_way {
public:
  explicit socket_way(const link_options&) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::system_error(errno, std::generic_category(), "making a pair of sockets");
    parent_ = sys::handle(ends[0]);
    child_ = sys::handle(ends[1]);
  }
  std::vector<int> descriptors() const { return {child_.get()}; }
  static void listen(net::io_context&) {}
  void accept(net::io_context& io) { open(io, child_); }
  void connect(net::io_context& io) {
    child_ = sys::handle();
    open(io, parent_);
  }
  unix_socket& connection() noexcept { return *socket_; }
  static wake_counts wakes() { return {}; }

private:
  void open(net::io_context& io, sys::handle& from) {
    socket_.emplace(io, net::local::stream_protocol(), from.release());
  }
  sys::handle parent_;
  sys::handle child_;
  std::optional<unix_socket> socket_;
};

contender http_over_ringbell(const char* id, const char* title, spin_policy spin) {
  contender c;
  c.id = std::string("http/ringbell/") + id;
  c.title = std::string("HTTP by Beast, ringbell's stream, ") + title;
  c.what = contender::role::ringbell;
  c.spins = spin == spin_policy::always;
  c.make = [spin](const link_options& options) {
    return std::make_unique<http_link<ringbell_way>>(spin, options);
  };
  return c;
}

}  // namespace

std::vector<contender> http_contenders(std::string& version) {
  version = BOOST_LIB_VERSION;
  contender socket;
  socket.id = "http/socket";
  socket.title = "HTTP by Beast, Asio's Unix socket";
  socket.what = contender::role::peer;
  socket.make = [](const link_options& options) {
    return std::make_unique<http_link<socket_way>>(options);
  };
  return {http_over_ringbell("always", "always", spin_policy::always),
          http_over_ringbell("adaptive", "adaptive", spin_policy::adaptive),
          http_over_ringbell("none", "none", spin_policy::none), std::move(socket)};
}

}  // namespace ringbell::bench
