// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/timer_heap.hpp>
#include <ringbell/coro/detail/wait_node.hpp>

#include <coroutine>
#include <new>

namespace ringbell::detail {

/// Tells waiting coroutines to look again, because something has changed. It is a hint: a wait also
/// ends after a while without one.
///
/// Thread-safety: one thread.
class nudge {
public:
  class awaiter;
  void give() noexcept;

private:
  struct link : list_node<link> {};
  list<link> waiting_;
};

/// Waits for a nudge, but not longer than until a time or until a stop is requested. It takes no
/// memory: when there is none for its timer, it only gives other coroutines their turn.
class nudge::awaiter final : private wait_node, private nudge::link, private timer {
public:
  awaiter(nudge& of, time_point until) noexcept : timer(&expired), of_(of), until_(until) {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    if (!arm(h)) return false;
    of_.waiting_.push_back(*this);
    try {
      scheduler_access::add_timer(armed_on(), *this, until_);
    } catch (const std::bad_alloc&) {
      complete();
    }
    return true;
  }
  void await_resume() noexcept { disarm(); }

private:
  friend class nudge;
  static void expired(timer& t) noexcept { static_cast<awaiter&>(t).complete(); }
  nudge& of_;
  time_point until_;
};

inline void nudge::give() noexcept {
  while (!waiting_.empty()) {
    auto& first = static_cast<awaiter&>(waiting_.front());
    first.link::unlink();
    first.complete();
  }
}

}  // namespace ringbell::detail
