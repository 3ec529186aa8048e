// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace ringbell::detail {

/// How many clients a listener has. Their channels may be destroyed in threads of their own, and after the listener.
using client_count = std::shared_ptr<std::atomic<std::size_t>>;

/// Counts one client of a listener, as long as it lives.
class client_slot {
public:
  client_slot() noexcept = default;
  // relaxed, here and in leave(): it is a number only; no other memory is read on the strength of it.
  explicit client_slot(client_count count) noexcept : count_(std::move(count)) { count_->fetch_add(1, std::memory_order_relaxed); }
  client_slot(client_slot&&) noexcept = default;
  client_slot& operator=(client_slot&& other) noexcept {
    if (this != &other) {
      leave();
      count_ = std::move(other.count_);
    }
    return *this;
  }
  ~client_slot() { leave(); }
  void leave() noexcept {
    if (const client_count count = std::exchange(count_, nullptr)) count->fetch_sub(1, std::memory_order_relaxed);
  }

private:
  client_count count_;
};

}  // namespace ringbell::detail
