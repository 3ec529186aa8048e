// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/task_group.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/stop_token.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/errors.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <coroutine>
#include <system_error>
#include <utility>

namespace ringbell {

namespace detail {

/// A stop source that a timer triggers, and that is linked to the stop token of the context.
class deadline : private timer {
public:
  deadline(const coroutine_context& context, timer::time_point due)
      : timer(&expired), link_(context.stop, stop_link(stop_)) {
    scheduler_access::add_timer(*context.scheduler, *this, due);
  }
  inplace_stop_token token() noexcept { return stop_.get_token(); }
  /// Whether the timer has requested the stop.
  bool passed() const noexcept { return passed_; }

private:
  static void expired(timer& t) noexcept {
    auto& self = static_cast<deadline&>(t);
    self.passed_ = self.stop_.request_stop();
  }
  inplace_stop_source stop_;
  inplace_stop_callback<stop_link> link_;
  bool passed_ = false;
};

/// Gives the awaiting task another stop token, which is passed to everything that it awaits from
/// then on. So a timeout needs no frame other than its own.
class adopt_stop_token {
public:
  explicit adopt_stop_token(inplace_stop_token token) noexcept : token_(token) {}
  bool await_ready() const noexcept { return false; }
  template <class T>
  bool await_suspend(std::coroutine_handle<task_promise<T>> h) noexcept {
    h.promise().set_context(coroutine_context(h.promise().context().scheduler, token_));
    return false;
  }
  void await_resume() const noexcept {}

private:
  inplace_stop_token token_;
};

}  // namespace detail

/// Awaits a task or another awaitable for at most `limit`, counted from when the timeout is
/// awaited. After that it asks the awaitable to stop, waits until it has ended, and throws
/// `errc::timed_out`. A limit that is negative or zero asks it to stop at the loop's next turn.
/// Timeouts nest: each reports only its own.
///
/// A value that arrives in spite of the stop request is returned, not lost. Allocates one frame.
/// Errors: `errc::timed_out`. An exception of the awaitable other than `errc::cancelled` is thrown
/// unchanged.
/// Thread-safety: none; the loop's thread.
/// Cancellation: passed on to the awaitable.
template <class A>
task<detail::await_result_t<A>>(timeout)(time_limit limit, A awaitable) {
  const coroutine_context context = co_await current_context();
  detail::deadline deadline(context, detail::from_now(limit));
  co_await detail::adopt_stop_token(deadline.token());
  try {
    co_return co_await std::move(awaitable);
  } catch (const std::system_error& error) {
    if (!deadline.passed() || error.code() != errc::cancelled) throw;
  }
  throw std::system_error(errc::timed_out);
}

}  // namespace ringbell
