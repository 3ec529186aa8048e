// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/scheduler.hpp>
#include <ringbell/coro/stop_token.hpp>

#include <concepts>
#include <coroutine>

namespace ringbell {

/// What a coroutine knows of its surroundings: the scheduler that resumes it, and the token that
/// asks it to stop. A `task` passes its context to every task that it awaits, so a stop request
/// reaches the innermost wait. (In a coroutine, `loop::current()` is the loop that runs it.)
///
/// Thread-safety: a plain value; what it refers to belongs to the loop's thread.
/// Lifetime: valid as long as the loop and the stop source are.
struct coroutine_context {
  coroutine_context() noexcept = default;
  explicit coroutine_context(detail::scheduler* resumed_by, inplace_stop_token token = {}) noexcept
      : scheduler(resumed_by), stop(token) {}

  /// The loop; null when no loop runs the coroutine.
  detail::scheduler* scheduler = nullptr;
  inplace_stop_token stop;
};

namespace detail {

/// The context of a suspended coroutine. When its promise has a `context()`, as `task`'s promise
/// does, it is that. Otherwise it is the loop that runs on this thread, without a stop token. So
/// ringbell's awaitables also work in coroutine types of your own.
template <class Promise>
coroutine_context coroutine_context_of(std::coroutine_handle<Promise> h) noexcept {
  if constexpr (requires {
                  { h.promise().context() } -> std::convertible_to<coroutine_context>;
                })
    return h.promise().context();
  else
    return coroutine_context(scheduler_access::current());
}

class context_awaiter {
public:
  context_awaiter() noexcept {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
    found_ = coroutine_context_of(h);
    return false;
  }
  coroutine_context await_resume() const noexcept { return found_; }

private:
  coroutine_context found_;
};

}  // namespace detail

/// `co_await current_context()` gives the context of the awaiting coroutine, with the token that
/// asks it to stop. Never suspends.
[[nodiscard]] inline detail::context_awaiter current_context() noexcept {
  return detail::context_awaiter();
}

}  // namespace ringbell
