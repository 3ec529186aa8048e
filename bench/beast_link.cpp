// SPDX-License-Identifier: BSL-1.0
// HTTP by Boost.Beast: the same session over ringbell's stream and over a Unix socket.
#define RINGBELL_BOOST_ASIO
#include "blocking_link.hpp"
#include "contenders.hpp"

#include <ringbell/asio.hpp>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>

#include <sys/socket.h>
#include <cerrno>
#include <exception>
#include <functional>
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
  void listen() override { way_.listen(make_context()); }
  void accept() override { stream_.emplace(way_.accept(*io_)); }
  void connect() override { stream_.emplace(way_.connect(make_context())); }

  void ping(const slice& s, times& t) override {
    with_stopwatch(s, t, [&](auto& watch) { finish(ask(*stream_, s, watch)); });
  }
  void answer(const slice& s) override {
    finish(serve(*stream_, s.all(), std::string(s.size, 'x')));
  }
  void send(const slice&, times&) override { throw std::logic_error("HTTP is not one-way"); }
  void receive(const slice&) override { throw std::logic_error("HTTP is not one-way"); }
  wake_counts wakes() const override { return way_.wakes(*stream_); }

private:
  net::io_context& make_context() {
    io_ = std::make_unique<net::io_context>();
    return *io_;
  }
  void finish(net::awaitable<void> what) {
    std::exception_ptr failure;
    net::co_spawn(*io_, std::move(what),
                  [&failure](std::exception_ptr e) { failure = std::move(e); });
    io_->run();
    io_->restart();
    if (failure) std::rethrow_exception(failure);
  }

  std::unique_ptr<net::io_context> io_;  // outlives the stream
  Way way_;
  std::optional<typename Way::stream> stream_;
};

class ringbell_way {
public:
  using stream = asio_stream;
  ringbell_way(spin_policy spin, const link_options& options) : spin_(spin), path_(options.path) {}
  static std::vector<int> descriptors() { return {}; }
  void listen(net::io_context& io) { acceptor_.emplace(io, path_); }
  asio_stream accept(net::io_context& io) {
    acceptor_->async_accept(taker());
    asio_stream s = run(io);
    acceptor_.reset();
    return s;
  }
  asio_stream connect(net::io_context& io) {
    async_connect_stream(io, path_, taker());
    return run(io);
  }
  static wake_counts wakes(const asio_stream& s) {
    const channel_statistics now = s.statistics();
    return {static_cast<std::int64_t>(now.bells_rung), static_cast<std::int64_t>(now.parks)};
  }

private:
  std::function<void(net_error_code, asio_stream)> taker() {
    return [this](net_error_code error, asio_stream s) {
      if (error) throw net_system_error(error, "opening a stream in Asio");
      s.spin(spin_);
      opened_.emplace(std::move(s));
    };
  }
  asio_stream run(net::io_context& io) {
    io.run();
    io.restart();
    return std::move(opened_.value());
  }
  spin_policy spin_;
  std::string path_;
  std::optional<asio_stream_acceptor> acceptor_;
  std::optional<asio_stream> opened_;
};

class socket_way {
public:
  using stream = unix_socket;
  explicit socket_way(const link_options&) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::system_error(errno, std::generic_category(), "making a pair of sockets");
    parent_ = sys::handle(ends[0]);
    child_ = sys::handle(ends[1]);
  }
  std::vector<int> descriptors() const { return {child_.get()}; }
  static void listen(net::io_context&) {}
  unix_socket accept(net::io_context& io) { return opened(io, child_); }
  unix_socket connect(net::io_context& io) {
    child_ = sys::handle();
    return opened(io, parent_);
  }
  static wake_counts wakes(const unix_socket&) { return {}; }

private:
  static unix_socket opened(net::io_context& io, sys::handle& from) {
    return {io, net::local::stream_protocol(), from.release()};
  }
  sys::handle parent_;
  sys::handle child_;
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
