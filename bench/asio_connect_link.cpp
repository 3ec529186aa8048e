// SPDX-License-Identifier: BSL-1.0
// Connecting, one small message there and back, closing: inside asio::awaitable on an io_context.
#include "connect_link.hpp"

#include <ringbell/asio.hpp>

#include <cstring>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringbell::bench {

namespace {

class asio_way {
public:
  explicit asio_way(const link_options& options) : path_(options.path) {}
  void listen() { listener_.emplace(io_, path_); }
  static void prepare() noexcept {}
  void cycle(payload& bytes) { finish(one_cycle(bytes)); }
  void serve(std::uint64_t n, payload& bytes) { finish(serve_clients(n, bytes)); }

private:
  void finish(net::awaitable<void> what) {
    std::exception_ptr failure;
    net::co_spawn(io_, std::move(what),
                  [&failure](std::exception_ptr e) { failure = std::move(e); });
    io_.run();
    io_.restart();
    if (failure) std::rethrow_exception(failure);
  }
  net::awaitable<void> one_cycle(payload& bytes) {
    asio_channel ch = co_await async_connect(io_, path_, connect_options(), net::use_awaitable);
    co_await ch.send(net::const_buffer(bytes.out.data(), bytes.out.size()));
    const auto reply = co_await ch.recv();
    if (!reply || reply->size() != bytes.out.size()) throw std::runtime_error("no echo");
  }
  net::awaitable<void> serve_clients(std::uint64_t n, payload& bytes) {
    for (; n != 0; --n) {
      asio_channel ch = co_await listener_->async_accept(net::use_awaitable);
      for (auto got = co_await ch.recv(); got; got = co_await ch.recv()) {
        if (got->size() != bytes.in.size()) throw std::runtime_error("a message of another size");
        std::memcpy(bytes.in.data(), got->data(), got->size());
        got->release();
        co_await ch.send(net::const_buffer(bytes.in.data(), bytes.in.size()));
      }
    }
  }
  std::string path_;
  net::io_context io_;
  std::optional<asio_listener> listener_;
};

}  // namespace

contender asio_connect_contender() {
  return connect_contender<asio_way>("asio", "in Asio, usual bells", contender::role::ringbell);
}

}  // namespace ringbell::bench
