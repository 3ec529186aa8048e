// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/wait_node.hpp>
#include <ringbell/result.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <coroutine>

namespace ringbell {

namespace detail {

class sleep_awaiter : private wait_node, private timer {
public:
  explicit sleep_awaiter(timer::time_point due) noexcept : timer(&expired), due_(due) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    if (!arm(h)) return false;
    scheduler_access::add_timer(armed_on(), *this, due_);
    return true;
  }
  result<void> take_result() noexcept {
    disarm();
    return completed() ? result<void>() : result<void>(errc::cancelled);
  }
  void await_resume() { take_result().value(); }

private:
  static void expired(timer& t) noexcept { static_cast<sleep_awaiter&>(t).complete(); }
  timer::time_point due_;
};

class yield_awaiter : private ready_node {
public:
  yield_awaiter() noexcept {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> h) {
    scheduler& home = scheduler_of(coroutine_context_of(h));
    waiting = h;
    scheduler_access::schedule(home, *this);
  }
  void await_resume() const noexcept {}
};

using sleep_awaitable = awaitable<sleep_awaiter, std::chrono::steady_clock::time_point>;

}  // namespace detail

/// Suspends until `when`, on the loop of the awaiting coroutine, and at least until the loop's next
/// turn. With `time_point::max()` it suspends until it is cancelled.
///
/// It never ends early. It ends late by as long as the loop is busy, and by the kernel's timer
/// slack (50 us by default). Allocates nothing, unless the loop has more timers than ever before.
/// Errors: throws `std::logic_error` in a coroutine that no loop runs; no others.
/// Thread-safety: none; the loop's thread.
/// Cancellation: `errc::cancelled`, on the loop's next turn.
template <class Duration>
detail::sleep_awaitable sleep_until(
    std::chrono::time_point<std::chrono::steady_clock, Duration> when) noexcept {
  return detail::sleep_awaitable(
      std::chrono::steady_clock::time_point(time_limit(when.time_since_epoch())));
}

/// Suspends for `d`, counted from this call. A negative duration counts as zero. Otherwise as
/// `sleep_until`.
inline detail::sleep_awaitable sleep_for(time_limit d) noexcept {
  return detail::sleep_awaitable(detail::from_now(d));
}

/// Suspends until all other coroutines that are ready now have run. Meant for long computations
/// that share the loop.
/// Errors: throws `std::logic_error` in a coroutine that no loop runs.
/// Thread-safety: none; the loop's thread.
/// Cancellation: none. It returns even when a stop was requested; ask `current_context()` for that.
[[nodiscard]] inline detail::yield_awaiter yield() noexcept { return detail::yield_awaiter(); }

}  // namespace ringbell
