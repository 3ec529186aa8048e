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
#include <variant>

namespace ringbell {

/// Tells which of several awaitables ended first, and holds its result: `std::monostate` for void,
/// `std::reference_wrapper` for a reference.
///
/// Thread-safety: as the value's.
template <class... T>
class any_result {
public:
  template <std::size_t I, class... Args>
  explicit any_result(std::in_place_index_t<I> which, Args&&... args)
      : value_(which, std::forward<Args>(args)...) {}

  /// The position of the first one among the arguments.
  std::size_t index() const noexcept { return value_.index(); }
  /// The value of argument `I`. Throws `std::bad_variant_access` when another argument ended first.
  template <std::size_t I>
  auto& get() & {
    return std::get<I>(value_);
  }
  template <std::size_t I>
  auto&& get() && {
    return std::get<I>(std::move(value_));
  }
  /// Calls `f` with the value, as `std::visit` does.
  template <class F>
  decltype(auto) visit(F&& f) & {
    return std::visit(std::forward<F>(f), value_);
  }
  template <class F>
  decltype(auto) visit(F&& f) && {
    return std::visit(std::forward<F>(f), std::move(value_));
  }

private:
  std::variant<T...> value_;
};

namespace detail {

class any_group final : public task_group {
public:
  explicit any_group(const coroutine_context& context) noexcept
      : task_group(*context.scheduler, context.stop) {}
  ~any_group() { clear(); }

  bool decided() const noexcept { return decided_; }
  /// Called by a child that has ended. Returns true for the first one, and then asks the others to
  /// stop.
  bool wins() noexcept {
    if (std::exchange(decided_, true)) return false;
    request_stop();
    return true;
  }
  end_awaiter all_ended() noexcept { return end_awaiter(*this); }
  void rethrow() {
    if (first_) std::rethrow_exception(std::exchange(first_, nullptr));
  }

private:
  void failed(std::exception_ptr error) noexcept override {
    if (wins()) first_ = std::move(error);
  }
  bool decided_ = false;
  std::exception_ptr first_;
};

template <std::size_t I, class A, class Result>
task<void> race(A awaitable, any_group& others, std::optional<Result>& winner) {
  if constexpr (std::is_void_v<await_result_t<A>>) {
    co_await std::move(awaitable);
    if (others.wins()) winner.emplace(std::in_place_index<I>);
  } else {
    auto&& value = co_await std::move(awaitable);
    if (others.wins()) winner.emplace(std::in_place_index<I>, std::forward<decltype(value)>(value));
  }
}

template <class Result, class... A, std::size_t... I>
void start_race(any_group& children, std::tuple<A...>& awaitables, std::optional<Result>& winner,
                std::index_sequence<I...>) {
  const auto start = [&]<std::size_t Index>(std::integral_constant<std::size_t, Index>) {
    if (!children.decided())
      children.start(race<Index>(std::move(std::get<Index>(awaitables)), children, winner));
  };
  (start(std::integral_constant<std::size_t, I>()), ...);
}

template <class... A>
task<any_result<stored_result_t<A>...>> any_of(std::tuple<A...> awaitables) {
  std::optional<any_result<stored_result_t<A>...>> winner;
  const coroutine_context context = co_await current_context();
  any_group children(context);
  start_race(children, awaitables, winner, std::index_sequence_for<A...>());
  co_await children.all_ended();
  children.rethrow();
  co_return *std::move(winner);
}

}  // namespace detail

/// Awaits all arguments at the same time, and returns an `any_result` of the first one that ends.
/// The arguments are tasks or other awaitables.
///
/// They begin at once, in order. Once one has ended, no other begins. The losers are asked to stop
/// and are waited for, so nothing is still running when this returns, and references to local
/// variables stay valid. Allocates one frame, and one more for each argument that began.
///
/// An awaitable of this library that loses has consumed nothing: a message is never taken from a
/// channel and dropped. A losing task keeps the effects that it has had until its next wait, and
/// its value is dropped.
/// Errors: when the first one that ends throws, its exception is thrown.
/// Thread-safety: none; the loop's thread.
/// Cancellation: passed on to all.
template <class... A>
  requires(sizeof...(A) > 0)
auto when_any(A... awaitables) {
  return detail::any_of(std::tuple<A...>(std::move(awaitables)...));
}

}  // namespace ringbell
