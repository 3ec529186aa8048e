// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/scheduler.hpp>
#include <ringbell/coro/stop_token.hpp>

#include <coroutine>
#include <optional>
#include <stdexcept>

namespace ringbell::detail {

/// What resumes a coroutine of this context. Throws `std::logic_error` when nothing does.
inline scheduler& scheduler_of(const coroutine_context& context) {
  if (!context.scheduler) throw std::logic_error("ringbell: awaited outside of a running loop");
  return *context.scheduler;
}

/// Base of the awaiters that suspend: what schedules the coroutine again when the wait is over or a
/// stop is requested. Holds its operation itself, so a wait allocates nothing; and deregisters in
/// its destructor, so a destroyed coroutine is never resumed.
///
/// The shape of an awaiter, which `as_result` knows:
///
///     bool await_ready() noexcept;
///     bool await_suspend(std::coroutine_handle<Promise> h) {   // false: goes on at once, to take_result()
///       if (!arm(h)) return false;
///       ... begin the operation; later it calls complete()
///       return true;
///     }
///     result<T> take_result() noexcept {
///       disarm();
///       ... what came out, or errc::cancelled when nothing was consumed and stop_requested()
///     }
///     T await_resume() { return take_result().value(); }
class wait_node : public ready_node {
protected:
  wait_node() noexcept {}
  ~wait_node() = default;

  /// Gets ready to suspend `h` on its own loop. False when a stop was requested before: do not
  /// begin, do not suspend. Throws as scheduler_of().
  template <class Promise>
  bool arm(std::coroutine_handle<Promise> h) {
    const coroutine_context context = coroutine_context_of(h);
    return arm(h, scheduler_of(context), context.stop);
  }
  /// The same, for an operation that is bound to the loop `home`.
  template <class Promise>
  bool arm(std::coroutine_handle<Promise> h, scheduler& home) {
    return arm(h, home, coroutine_context_of(h).stop);
  }

  /// The wait is over: schedules the coroutine. Later calls have no effect.
  void complete() noexcept {
    completed_ = true;
    scheduler_access::schedule(*home_, *this);
  }
  /// The coroutine runs again: from now on nothing may schedule it for this wait.
  void disarm() noexcept { on_stop_.reset(); }

  bool completed() const noexcept { return completed_; }
  /// Whether a stop was requested, be it after complete(): then the coroutine has not been resumed
  /// yet, and if nothing has been consumed the await says `errc::cancelled`.
  bool stop_requested() const noexcept { return stop_.stop_requested(); }
  /// The loop that it was armed on.
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
