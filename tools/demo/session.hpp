// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "common/histogram.hpp"
#include "demo/asio.hpp"
#include "demo/peer.hpp"
#include "demo/process.hpp"

#include <ringbell/channel/channel.hpp>
#include <ringbell/loop/loop.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace ringbell::tool::demo {

/// What one slice, or several, have measured.
struct sample {
  histogram times;             ///< of round trips, in nanoseconds
  std::uint64_t messages = 0;  ///< round trips, or one-way messages
  std::uint64_t bytes = 0;     ///< one-way payload
  double seconds = 0;
  usage client;
  usage server;

  void add(const sample& other);
};

/// Two CPUs, for the two processes: on different cores where possible, and the same one twice when
/// there is only one.
class placement {
public:
  /// Picks from those that this process may use.
  placement();
  unsigned usable() const noexcept { return usable_; }
  int client_cpu() const noexcept { return client_cpu_; }
  int server_cpu() const noexcept { return server_cpu_; }
  bool apart() const noexcept { return client_cpu_ != server_cpu_; }

  /// Pin the calling process to its CPU; unless there is only one.
  void pin_client() const noexcept { pin(client_cpu_); }
  void pin_server() const noexcept { pin(server_cpu_); }

private:
  void pin(int cpu) const noexcept;

  int client_cpu_ = 0;
  int server_cpu_ = 0;
  unsigned usable_ = 1;
};

/// The server process, connected: by ringbell, and by another link beside it. Measures one slice at
/// a time.
class session {
public:
  using duration = std::chrono::nanoseconds;

  /// Forks: the calling process must have no other thread. Throws std::system_error; then nothing
  /// is left behind. Nor is, later, however either process ends: the name is gone once the two are
  /// connected, and the server dies with its client.
  explicit session(const common_options& common);
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session();

  /// Round trips one after the other.
  sample ring_hot(std::size_t size, duration d);
  /// The same inside asio::awaitable; only with Asio.
  sample asio_hot(std::size_t size, duration d);
  sample socket_hot(std::size_t size, duration d);
  /// Round trips begun at fixed times, and measured from those: a late one makes its successors
  /// late, and is not forgotten.
  sample ring_paced(std::size_t size, duration period, duration d);
  sample socket_paced(std::size_t size, duration period, duration d);
  /// Messages of `size` bytes in one direction, `batch` published together; copied in by the
  /// sender, read in full by the receiver.
  sample ring_one_way(std::size_t size, std::size_t batch, duration d);

  const placement& cpus() const noexcept { return cpus_; }
  const loop& on() const noexcept { return *loop_; }
  const channel& link() const noexcept { return channel_; }
  bool has_asio() const noexcept { return in_asio_ != nullptr; }

private:
  template <class F>
  sample measure(phase what, F f);
  void order(phase what);

  placement cpus_;
  server_process server_;
  std::unique_ptr<loop> loop_;
  channel channel_;
  std::unique_ptr<asio_link> in_asio_;
};

}  // namespace ringbell::tool::demo
