// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/result.hpp>

#include <coroutine>
#include <system_error>
#include <type_traits>
#include <utility>

namespace ringbell {

namespace detail {

/// Awaits as the awaiter of `A` does, but returns its `result` without throwing.
template <class A>
class result_awaiter {
public:
  explicit result_awaiter(A a) : inner_(get_awaiter(std::move(a))) {}
  bool await_ready() noexcept(noexcept(std::declval<awaiter_t<A>&>().await_ready())) {
    return inner_.await_ready();
  }
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> h) {
    return inner_.await_suspend(h);
  }
  auto await_resume() noexcept { return inner_.take_result(); }

private:
  std::remove_reference_t<awaiter_t<A>> inner_;
};

/// True for an awaitable whose awaiter has `take_result()`, which returns the result instead of
/// throwing an error.
template <class A>
concept has_take_result = requires(awaiter_t<A>& awaiter) { awaiter.take_result(); };

}  // namespace detail

/// `co_await as_result(x)` gives a `result<T>` where `co_await x` gives a `T` or throws
/// `std::system_error`.
///
/// For the awaitables of this library no exception is thrown on the way, and nothing is allocated.
/// Errors: those of `x`, in the result.
/// Thread-safety: as `x`.
/// Cancellation: as `x`.
template <class A>
  requires detail::has_take_result<A>
[[nodiscard]] detail::awaitable<detail::result_awaiter<A>, A> as_result(A awaitable) {
  return detail::awaitable<detail::result_awaiter<A>, A>(std::move(awaitable));
}

/// The same for tasks and other awaitables: it catches `std::system_error` and returns its code.
/// Other exceptions pass through.
/// Allocates one coroutine frame.
template <class A>
  requires(!detail::has_take_result<A>)
task<result<detail::await_result_t<A>>> as_result(A awaitable) {
  try {
    if constexpr (std::is_void_v<detail::await_result_t<A>>) {
      co_await std::move(awaitable);
      co_return result<void>();
    } else {
      co_return co_await std::move(awaitable);
    }
  } catch (const std::system_error& error) {
    co_return error.code();
  }
}

}  // namespace ringbell
