// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ringbell::tool {

using proxy_socket = net::generic::stream_protocol::socket;

/// Joins a socket and a stream: what comes from the one goes to the other. Ends and failures are
/// carried over as well: an orderly end as an end, a reset or a death as a reset.
///
/// Thread-safety: only the thread that runs the context may use it.
/// Lifetime: the operations under way keep it alive. Its destructor closes both connections.
class relay : public std::enable_shared_from_this<relay> {
public:
  using clock = std::chrono::steady_clock;
  enum class side { socket, stream };

  relay(proxy_socket socket, asio_stream stream)
      : socket_(std::move(socket)),
        stream_(std::move(stream)),
        discarding_(stream_.get_executor()) {}
  relay(const relay&) = delete;
  relay& operator=(const relay&) = delete;

  /// Return the connections: one was accepted, the other is to be made before `start`.
  proxy_socket& socket() noexcept { return socket_; }
  asio_stream& stream() noexcept { return stream_; }

  /// Begins to carry bytes in both directions.
  /// Errors: throws `std::bad_alloc`.
  void start();
  /// Ends both connections at once, so that each peer sees a reset. Keeps the first reason only.
  void fail(std::string reason);

  /// Returns how many bytes were carried from a side to the other.
  std::uint64_t bytes_from(side s) const noexcept { return bytes_[s == side::stream]; }
  /// Returns why the relay failed; an empty text when it has not failed.
  const std::string& failure() const noexcept { return failure_; }
  /// What is bound to this ends when the relay fails: the making of the connection.
  net::cancellation_slot connecting() noexcept { return connecting_.slot(); }
  clock::time_point begun() const noexcept { return begun_; }
  /// Returns when bytes last moved. Before the first byte it is the time of `start`, and before
  /// that no time: `clock::time_point::max()`.
  clock::time_point last_moved() const noexcept { return last_moved_; }

private:
  template <class From, class To>
  static net::awaitable<void> carry(std::shared_ptr<relay> self, From& from, To& to, side source);
  void limit_discarding();

  proxy_socket socket_;
  asio_stream stream_;
  std::array<std::uint64_t, 2> bytes_{};
  clock::time_point begun_ = clock::now();
  clock::time_point last_moved_ = clock::time_point::max();
  std::string failure_;
  net::cancellation_signal connecting_;
  net::steady_timer discarding_;  // ends a socket that goes on sending what nobody reads
  bool socket_reset_ = false;     // a write to the socket has said so
  bool stream_reads_no_more_ = false;
  bool stream_ended_ = false;
  bool socket_ended_ = false;
};

}  // namespace ringbell::tool
