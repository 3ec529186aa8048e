// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "service/nudge.hpp"
#include "service/server_shard.hpp"

#include <ringbell/channel/detail/handshake_listener.hpp>
#include <ringbell/loop/loop_pool.hpp>
#include <ringbell/service/server.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace ringbell::detail {

/// The progress of a server's stop. The shards report it from their threads, and the coroutine that
/// awaits the stop reads it. It outlives the server if one of these does.
struct server_ending {
  explicit server_ending(server_impl* of) noexcept : impl(of) {}
  // Null when the server is gone. Only the thread of the server's loop uses it and `changed`.
  server_impl* impl;
  nudge changed;
  std::atomic<std::size_t> shards_left{0};
  std::atomic<bool> forced{false};  // some sessions did not end by themselves
  // For abort_each_shard(). A thread of the pool that has dropped the last shard may still be using
  // these when the server is gone.
  std::mutex mutex;
  std::condition_variable dropped;
  std::size_t not_dropped = 0;
  // Acquire and release: a thread that reads 0 also sees whether one was forced.
  bool over() const noexcept { return shards_left.load(std::memory_order_acquire) == 0; }
};

/// A server: its listener, and the shards on the loops over which its connections are distributed.
class server_impl final : private resident {
public:
  server_impl(loop& lp, loop_pool* pool, std::string_view name, request_handler handler,
              server_options options);
  server_impl(const server_impl&) = delete;
  server_impl& operator=(const server_impl&) = delete;
  ~server_impl();

  static task<bool> stop(std::shared_ptr<server_ending> ending, time_limit grace);
  const std::shared_ptr<server_ending>& ending() const noexcept { return ending_; }
  /// The clients of a shard have gone after a stop. Called on the shard's thread.
  void shard_ended(bool forced) noexcept;
  /// The loop of a shard is going, and with it the pool if there is one. Ends the server for good.
  void loops_gone() noexcept {
    pool_ = nullptr;
    end();
  }
  /// Returns the statistics of all clients on all loops. The row of `asking` is marked.
  task<std::vector<client_statistics>> statistics(const server_session* asking);

  const std::string& path() const noexcept { return path_; }
  /// The number of sessions on all loops.
  std::size_t clients() const noexcept { return clients_.load(std::memory_order_relaxed); }
  // relaxed: it is only a count.
  void client_came() noexcept { clients_.fetch_add(1, std::memory_order_relaxed); }
  void client_left() noexcept { clients_.fetch_sub(1, std::memory_order_relaxed); }

  const server_options options;  // messages are limited to what may be kept
  const request_handler handler;
  const request_handler own_methods;

private:
  void loop_gone() noexcept override { end(); }
  void end() noexcept;
  void spread() noexcept;
  template <class F>
  void on_each_shard(const F& f);
  bool ask_to_stop(loop::clock::time_point until) noexcept;
  bool pool_stopped() const noexcept { return pool_ && pool_->stopped(); }
  void abort_shards() noexcept;
  void abort_each_shard() noexcept;

  loop& loop_;
  loop_pool* pool_;
  std::string path_;
  std::unique_ptr<handshake_listener> listener_;
  std::atomic<std::size_t> clients_{0};
  std::vector<std::unique_ptr<server_shard>> shards_;
  std::size_t next_ = 0;
  std::shared_ptr<server_ending> ending_;
};

}  // namespace ringbell::detail
