// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/task_group.hpp>
#include <ringbell/coro/task.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringbell {

namespace detail {

class all_group final : public task_group {
public:
  explicit all_group(const coroutine_context& context) noexcept
      : task_group(*context.scheduler, context.stop) {}
  ~all_group() { clear(); }
  bool any_failed() const noexcept { return first_ != nullptr; }
  end_awaiter all_ended() noexcept { return end_awaiter(*this); }
  void rethrow() {
    if (first_) std::rethrow_exception(std::exchange(first_, nullptr));
  }

private:
  void failed(std::exception_ptr error) noexcept override {
    if (first_) return;
    first_ = std::move(error);
    request_stop();
  }
  std::exception_ptr first_;
};

template <class A, class T>
task<void> store_result(A awaitable, std::optional<T>& into) {
  if constexpr (std::is_void_v<await_result_t<A>>) {
    co_await std::move(awaitable);
    into.emplace();
  } else {
    into.emplace(co_await std::move(awaitable));
  }
}

// This is a plain function because g++ 12 mishandles parameter packs within coroutines.
template <class... A, std::size_t... I>
void start_all(all_group& children, std::tuple<A...>& awaitables,
               std::tuple<std::optional<stored_result_t<A>>...>& values,
               std::index_sequence<I...>) {
  const auto start = [&](auto& awaitable, auto& into) {
    if (!children.any_failed()) children.start(store_result(std::move(awaitable), into));
  };
  (start(std::get<I>(awaitables), std::get<I>(values)), ...);
}

template <class... T>
std::tuple<T...> take_all(std::tuple<std::optional<T>...>& values) {
  return std::apply(
      [](std::optional<T>&... value) { return std::tuple<T...>(*std::move(value)...); }, values);
}

template <class... A>
task<std::tuple<stored_result_t<A>...>> all_of(std::tuple<A...> awaitables) {
  std::tuple<std::optional<stored_result_t<A>>...> values;
  const coroutine_context context = co_await current_context();
  all_group children(context);
  start_all(children, awaitables, values, std::index_sequence_for<A...>());
  co_await children.all_ended();
  children.rethrow();
  co_return take_all(values);
}

}  // namespace detail

/// Awaits all arguments at the same time. They are tasks or other awaitables. The result is a tuple
/// of their results, with `std::monostate` for void and `std::reference_wrapper` for a reference.
///
/// They begin at once, in order. Allocates one frame, and one more for each argument.
/// Errors: when one throws, the others are asked to stop, and those that have not begun are
/// destroyed. Once all have ended, the first exception is thrown.
/// Thread-safety: none; the loop's thread.
/// Cancellation: passed on to all. The result is `errc::cancelled` when one of them reports it
/// before any other exception.
template <class... A>
  requires(sizeof...(A) > 0)
auto when_all(A... awaitables) {
  return detail::all_of(std::tuple<A...>(std::move(awaitables)...));
}

/// Awaits any number of tasks at the same time. The result has their values in the order of the
/// tasks. Otherwise as above.
template <class T>
  requires(!std::is_void_v<T>)
task<std::vector<T>> when_all(std::vector<task<T>> tasks) {
  std::vector<std::optional<T>> values(tasks.size());
  const coroutine_context context = co_await current_context();
  detail::all_group children(context);
  for (std::size_t i = 0; i < tasks.size() && !children.any_failed(); ++i)
    children.start(detail::store_result(std::move(tasks[i]), values[i]));
  co_await children.all_ended();
  children.rethrow();
  std::vector<T> result;
  result.reserve(values.size());
  for (std::optional<T>& value : values) result.push_back(*std::move(value));
  co_return result;
}

inline task<void> when_all(std::vector<task<void>> tasks) {
  const coroutine_context context = co_await current_context();
  detail::all_group children(context);
  for (task<void>& t : tasks)
    if (!children.any_failed()) children.start(std::move(t));
  co_await children.all_ended();
  children.rethrow();
}

}  // namespace ringbell
