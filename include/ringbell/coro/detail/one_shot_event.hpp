// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/wait_node.hpp>
#include <ringbell/result.hpp>

#include <coroutine>

namespace ringbell::detail {

/// A one-shot event. It is clear until set() is called, and then stays set; the coroutines that
/// wait for it go on.
/// Thread-safety: none; one thread.
class one_shot_event {
public:
  class awaiter;
  bool is_set() const noexcept { return set_; }
  void set() noexcept;
  /// Waits until the event is set.
  /// Cancellation: `errc::cancelled`.
  awaitable<awaiter, one_shot_event*> wait() noexcept;

private:
  /// The waiters have a list and links of their own. A waiter that is linked by its ready_node
  /// counts as scheduled, and a stop request could not wake it.
  struct link : list_node<link> {};
  list<link> waiting_;
  bool set_ = false;
};

class one_shot_event::awaiter final : private wait_node, private one_shot_event::link {
public:
  explicit awaiter(one_shot_event* e) noexcept : event_(e) {}
  bool await_ready() const noexcept { return event_->set_; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    if (!arm(h)) return false;
    event_->waiting_.push_back(*this);
    return true;
  }
  result<void> take_result() noexcept {
    disarm();
    link::unlink();
    return event_->set_ ? result<void>() : result<void>(errc::cancelled);
  }
  void await_resume() { take_result().value(); }

private:
  friend class one_shot_event;
  one_shot_event* event_;
};

inline void one_shot_event::set() noexcept {
  set_ = true;
  while (!waiting_.empty()) {
    auto& first = static_cast<awaiter&>(waiting_.front());
    first.link::unlink();
    first.complete();
  }
}

inline awaitable<one_shot_event::awaiter, one_shot_event*> one_shot_event::wait() noexcept {
  return awaitable<awaiter, one_shot_event*>(this);
}

}  // namespace ringbell::detail
