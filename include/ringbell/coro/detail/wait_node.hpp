// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/environment.hpp>
#include <ringbell/coro/stop_token.hpp>
#include <ringbell/loop/detail/loop_access.hpp>

#include <coroutine>
#include <optional>
#include <stdexcept>

namespace ringbell::detail {

/// The loop of a coroutine's environment. Throws `std::logic_error` when there is none.
inline loop& loop_of(const environment& env) {
  if (!env.lp) throw std::logic_error("ringbell: awaited outside of a running loop");
  return *env.lp;
}

/// Base of the awaiters that suspend: what schedules the coroutine again when the wait is over or a stop is requested. Holds its
/// operation itself, so a wait allocates nothing; and deregisters in its destructor, so a destroyed coroutine is never resumed.
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

  /// Gets ready to suspend `h` on its own loop. False when a stop was requested before: do not begin, do not suspend. Throws as loop_of().
  template <class Promise>
  bool arm(std::coroutine_handle<Promise> h) {
    const environment env = environment_of(h);
    return arm(h, loop_of(env), env.stop);
  }
  /// The same, for an operation that is bound to the loop `lp`.
  template <class Promise>
  bool arm(std::coroutine_handle<Promise> h, loop& lp) {
    return arm(h, lp, environment_of(h).stop);
  }

  /// The wait is over: schedules the coroutine. Later calls have no effect.
  void complete() noexcept {
    completed_ = true;
    loop_access::schedule(*lp_, *this);
  }
  /// The coroutine runs again: from now on nothing may schedule it for this wait.
  void disarm() noexcept { on_stop_.reset(); }

  bool completed() const noexcept { return completed_; }
  /// Whether a stop was requested, be it after complete(): then the coroutine has not been resumed yet, and if nothing has been
  /// consumed the await says `errc::cancelled`.
  bool stop_requested() const noexcept { return stop_.stop_requested(); }
  /// The loop that it was armed on.
  loop& armed_on() const noexcept { return *lp_; }

private:
  class stop_function {
  public:
    explicit stop_function(wait_node& node) noexcept : node_(node) {}
    void operator()() noexcept { loop_access::schedule(*node_.lp_, node_); }

  private:
    wait_node& node_;
  };

  bool arm(std::coroutine_handle<> h, loop& lp, inplace_stop_token stop) noexcept {
    lp_ = &lp;
    stop_ = stop;
    if (stop.stop_requested()) return false;
    waiting = h;
    if (stop.stop_possible()) on_stop_.emplace(stop, stop_function(*this));
    return true;
  }

  loop* lp_ = nullptr;
  inplace_stop_token stop_;
  std::optional<inplace_stop_callback<stop_function>> on_stop_;
  bool completed_ = false;
};

}  // namespace ringbell::detail
