// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace ringbell::detail {

/// The number of clients of a listener or of one user. It is shared, because channels may be
/// destroyed in other threads and after the listener.
using client_count = std::shared_ptr<std::atomic<std::size_t>>;

/// Counts one client of a listener as long as the slot lives.
class client_slot {
public:
  client_slot() noexcept = default;
  // relaxed, here and in release(): these are plain counts, and no other memory is read depending
  // on their values.
  client_slot(client_count all, client_count of_user) noexcept
      : all_(std::move(all)), of_user_(std::move(of_user)) {
    all_->fetch_add(1, std::memory_order_relaxed);
    of_user_->fetch_add(1, std::memory_order_relaxed);
  }
  client_slot(client_slot&&) noexcept = default;
  client_slot& operator=(client_slot&& other) noexcept {
    if (this != &other) {
      release();
      all_ = std::move(other.all_);
      of_user_ = std::move(other.of_user_);
    }
    return *this;
  }
  ~client_slot() { release(); }
  /// Gives the place back.
  /// Thread-safety: any thread.
  void release() noexcept {
    if (const client_count count = std::exchange(all_, nullptr))
      count->fetch_sub(1, std::memory_order_relaxed);
    if (const client_count count = std::exchange(of_user_, nullptr))
      count->fetch_sub(1, std::memory_order_relaxed);
  }

private:
  client_count all_;
  client_count of_user_;
};

}  // namespace ringbell::detail
