// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/wait_node.hpp>
#include <ringbell/result.hpp>

#include <coroutine>

namespace ringbell::detail {

/// A one-shot event. It is shut until open() is called, and then stays open; the coroutines that
/// wait for it go on.
/// Thread-safety: none; one thread.
class gate {
public:
  class awaiter;
  bool is_open() const noexcept { return open_; }
  void open() noexcept;
  /// Waits until the gate is open.
  /// Cancellation: `errc::cancelled`.
  awaitable<awaiter, gate*> wait() noexcept;

private:
  /// The waiters have a list and links of their own. A waiter that is linked by its ready_node
  /// counts as scheduled, and a stop request could not wake it.
  struct link : list_node<link> {};
  list<link> waiting_;
  bool open_ = false;
};

class gate::awaiter final : private wait_node, private gate::link {
public:
  explicit awaiter(gate* g) noexcept : gate_(g) {}
  bool await_ready() const noexcept { return gate_->open_; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    if (!arm(h)) return false;
    gate_->waiting_.push_back(*this);
    return true;
  }
  result<void> take_result() noexcept {
    disarm();
    link::unlink();
    return gate_->open_ ? result<void>() : result<void>(errc::cancelled);
  }
  void await_resume() { take_result().value(); }

private:
  friend class gate;
  gate* gate_;
};

inline void gate::open() noexcept {
  open_ = true;
  while (!waiting_.empty()) {
    auto& first = static_cast<awaiter&>(waiting_.front());
    first.link::unlink();
    first.complete();
  }
}

inline awaitable<gate::awaiter, gate*> gate::wait() noexcept {
  return awaitable<awaiter, gate*>(this);
}

}  // namespace ringbell::detail
