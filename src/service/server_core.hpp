// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "service/server_shard.hpp"

#include <ringbell/detail/listener_core.hpp>
#include <ringbell/loop_pool.hpp>
#include <ringbell/server.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace ringbell::detail {

/// A server: its listener, and the shards on the loops that its connections are spread over.
class server_core {
public:
  server_core(loop& lp, loop_pool* pool, std::string_view name, request_handler handler, server_options options);
  server_core(const server_core&) = delete;
  server_core& operator=(const server_core&) = delete;
  ~server_core();

  task<bool> stop(time_limit grace);
  /// Of all clients, on whatever loop they are.
  task<std::vector<client_statistics>> statistics();

  const std::string& path() const noexcept { return path_; }
  /// Sessions on all loops.
  std::size_t clients() const noexcept { return clients_.load(std::memory_order_relaxed); }
  // relaxed: it is a number only.
  void client_came() noexcept { clients_.fetch_add(1, std::memory_order_relaxed); }
  void client_left() noexcept { clients_.fetch_sub(1, std::memory_order_relaxed); }

  const server_options options;
  const request_handler handler;
  const request_handler own_methods;

private:
  void spread() noexcept;
  template <class F>
  void on_each_shard(const F& f);
  void drop_shards() noexcept;
  template <class F>
  void wait_for_each_shard(F f) noexcept;

  loop& loop_;
  loop_pool* const pool_;
  std::string path_;
  std::unique_ptr<listener_core> listener_;
  std::atomic<std::size_t> clients_{0};
  std::vector<std::unique_ptr<server_shard>> shards_;
  std::size_t next_ = 0;
};

}  // namespace ringbell::detail
