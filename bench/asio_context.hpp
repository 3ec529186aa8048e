// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "link.hpp"
#include "ring_size.hpp"

#include <ringbell/asio.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// In a namespace for each Asio, because the program has contenders on both.
namespace ringbell::bench::inline RINGBELL_ASIO_ABI {

/// An io_context that runs only within the calls.
class asio_context {
public:
  /// Makes the context, in the process that uses it.
  net::io_context& make() {
    io_ = std::make_unique<net::io_context>();
    return *io_;
  }
  net::io_context& get() noexcept { return *io_; }
  /// Runs `what` until it has ended. Throws what it throws.
  void finish(net::awaitable<void> what) {
    std::exception_ptr failure;
    net::co_spawn(*io_, std::move(what),
                  [&failure](std::exception_ptr e) { failure = std::move(e); });
    io_->run();
    io_->restart();
    if (failure) std::rethrow_exception(failure);
  }

private:
  std::unique_ptr<net::io_context> io_;
};

/// Opens a connection of ringbell's: a channel or a stream.
template <class Connection, class Listener>
class opened_way {
public:
  opened_way(spin_policy spin, const link_options& options)
      : spin_(spin), path_(options.path), ring_bytes_(ring_bytes_for(options.size)) {}

  static std::vector<int> descriptors() { return {}; }
  void listen(net::io_context& io) {
    listener_options options;
    options.default_ring_bytes = ring_bytes_;
    options.max_ring_bytes = std::max(options.max_ring_bytes, ring_bytes_);
    listener_.emplace(io, path_, options);
  }
  void accept(net::io_context& io) {
    listener_->async_accept(opened());
    run(io);
    listener_.reset();
  }
  void connect(net::io_context& io) {
    connect_options options;
    options.ring_bytes = options.peer_ring_bytes = ring_bytes_;
    if constexpr (std::is_same_v<Connection, asio_stream>)
      async_connect_stream(io, path_, options, opened());
    else
      async_connect(io, path_, options, opened());
    run(io);
  }
  Connection& connection() noexcept { return connection_; }
  wake_counts wakes() const {
    const channel_statistics now = connection_.statistics();
    return {static_cast<std::int64_t>(now.bells_rung), static_cast<std::int64_t>(now.parks)};
  }

private:
  struct taker {
    opened_way& way;
    void operator()(net_error_code error, Connection made) const {
      if (error) throw net_system_error(error, "opening a connection in Asio");
      way.connection_ = std::move(made);
      way.connection_.spin(way.spin_);
    }
  };
  taker opened() noexcept { return {*this}; }
  static void run(net::io_context& io) {
    io.run();
    io.restart();
  }
  spin_policy spin_;
  std::string path_;
  std::uint64_t ring_bytes_;
  std::optional<Listener> listener_;
  Connection connection_;
};

}  // namespace ringbell::bench::inline RINGBELL_ASIO_ABI
