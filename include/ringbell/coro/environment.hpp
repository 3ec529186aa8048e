// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/stop_token.hpp>

#include <concepts>
#include <coroutine>

namespace ringbell {

class loop;

/// What a coroutine knows of its surroundings: the loop that runs it, and the token that asks it to stop. A `task` hands its own
/// to every task that it awaits, so cancellation reaches the innermost wait.
struct environment {
  environment() noexcept = default;
  explicit environment(loop* on, inplace_stop_token token = {}) noexcept : lp(on), stop(token) {}

  loop* lp = nullptr;
  inplace_stop_token stop;
};

namespace detail {
loop* current_loop() noexcept;
}

/// The environment of a suspended coroutine: its promise's `env()` when it has one (as `task`'s promise does), else the loop that
/// is running on this thread, without a stop token. So ringbell's awaitables also work in coroutine types of your own.
template <class Promise>
environment environment_of(std::coroutine_handle<Promise> h) noexcept {
  if constexpr (requires {
                  { h.promise().env() } -> std::convertible_to<environment>;
                })
    return h.promise().env();
  else
    return environment(detail::current_loop());
}

namespace detail {

class environment_awaiter {
public:
  environment_awaiter() noexcept {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
    found_ = environment_of(h);
    return false;
  }
  environment await_resume() const noexcept { return found_; }

private:
  environment found_;
};

}  // namespace detail

/// `co_await current_environment()` gives the coroutine's own environment: its loop, and the token that asks it to stop. Never suspends.
[[nodiscard]] inline detail::environment_awaiter current_environment() noexcept { return detail::environment_awaiter(); }

}  // namespace ringbell
