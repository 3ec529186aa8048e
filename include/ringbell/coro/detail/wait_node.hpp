// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/scheduler.hpp>
#include <ringbell/coro/stop_token.hpp>

#include <coroutine>
#include <optional>
#include <stdexcept>

namespace ringbell::detail {

/// The scheduler that resumes a coroutine of this context. Throws `std::logic_error` when there is
/// none.
inline scheduler& scheduler_of(const coroutine_context& context) {
  if (!context.scheduler) throw std::logic_error("ringbell: awaited outside of a running loop");
  return *context.scheduler;
}

/// The base of the awaiters that suspend. It schedules the coroutine again when the wait is over or
/// a stop is requested. The awaiter holds the state of its operation, so a wait allocates nothing.
/// Its destructor deregisters it, so a destroyed coroutine is never resumed.
///
/// An awaiter has these members, which `as_result` relies on:
///
///     bool await_ready() noexcept;
///     bool await_suspend(std::coroutine_handle<Promise> h) {  // false: go on at once
///       if (!arm(h)) return false;
///       ... begin the operation; later it calls complete()
///       return true;
///     }
///     result<T> take_result() noexcept {
///       disarm();
///       ... return the result, or errc::cancelled when nothing was consumed and stop_requested()
///     }
///     T await_resume() { return take_result().value(); }
class wait_node : public ready_node {
protected:
  wait_node() noexcept {}
  ~wait_node() = default;

  /// Prepares to suspend `h` on its own loop. Returns false when a stop has already been requested:
  /// then do not begin the operation, and do not suspend. Throws what scheduler_of() throws.
  template <class Promise>
  bool arm(std::coroutine_handle<Promise> h) {
    const coroutine_context context = coroutine_context_of(h);
    return arm(h, scheduler_of(context), context.stop);
  }
  /// The same, for an operation that belongs to the loop `home`.
  template <class Promise>
  bool arm(std::coroutine_handle<Promise> h, scheduler& home) {
    return arm(h, home, coroutine_context_of(h).stop);
  }

  /// Ends the wait: schedules the coroutine. Later calls have no effect.
  void complete() noexcept {
    completed_ = true;
    scheduler_access::schedule(*home_, *this);
  }
  /// To be called when the coroutine runs again. From then on no stop request schedules it for this
  /// wait.
  void disarm() noexcept { on_stop_.reset(); }

  bool completed() const noexcept { return completed_; }
  /// Whether a stop was requested, even if after complete(): the coroutine may not have been
  /// resumed yet. If nothing has been consumed, the await then reports `errc::cancelled`.
  bool stop_requested() const noexcept { return stop_.stop_requested(); }
  /// The loop on which it was armed.
  scheduler& armed_on() const noexcept { return *home_; }

private:
  class stop_function {
  public:
    explicit stop_function(wait_node& node) noexcept : node_(node) {}
    void operator()() noexcept { scheduler_access::schedule(*node_.home_, node_); }

  private:
    wait_node& node_;
  };

  bool arm(std::coroutine_handle<> h, scheduler& home, inplace_stop_token stop) noexcept {
    home_ = &home;
    stop_ = stop;
    if (stop.stop_requested()) return false;
    waiting = h;
    if (stop.stop_possible()) on_stop_.emplace(stop, stop_function(*this));
    return true;
  }

  scheduler* home_ = nullptr;
  inplace_stop_token stop_;
  std::optional<inplace_stop_callback<stop_function>> on_stop_;
  bool completed_ = false;
};

}  // namespace ringbell::detail
