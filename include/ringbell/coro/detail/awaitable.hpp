// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <coroutine>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace ringbell::detail {

/// What the functions of this library return to be awaited. It holds the arguments of an awaiter,
/// not the awaiter itself: an awaiter cannot move once it is linked into lists. An awaitable can,
/// so it can be passed to `as_result`, `timeout`, `when_all` and `when_any`. It is awaited at most
/// once.
template <class Awaiter, class... Args>
class [[nodiscard]] awaitable {
public:
  explicit awaitable(Args... args) noexcept : args_(std::move(args)...) {}
  Awaiter operator co_await() && {
    return std::apply([](Args&... args) { return Awaiter(std::move(args)...); }, args_);
  }
  Awaiter operator co_await() & = delete;  // it is awaited once: co_await std::move(op)

private:
  std::tuple<Args...> args_;
};

/// The awaiter of an awaitable; a prvalue when `operator co_await` makes it.
template <class A>
decltype(auto) get_awaiter(A&& a) {
  if constexpr (requires { std::forward<A>(a).operator co_await(); })
    return std::forward<A>(a).operator co_await();
  else if constexpr (requires { operator co_await(std::forward<A>(a)); })
    return operator co_await(std::forward<A>(a));
  else
    return std::forward<A>(a);
}

template <class A>
using awaiter_t = decltype(get_awaiter(std::declval<A>()));

/// The type of `co_await std::move(a)`.
template <class A>
using await_result_t = decltype(std::declval<awaiter_t<A>&>().await_resume());

/// The type in which a result of type `T` can be stored: `std::monostate` for void,
/// `std::reference_wrapper` for a reference.
template <class T>
struct stored {
  using type = T;
};
template <>
struct stored<void> {
  using type = std::monostate;
};
template <class T>
struct stored<T&> {
  using type = std::reference_wrapper<T>;
};
template <class A>
using stored_result_t = typename stored<await_result_t<A>>::type;

}  // namespace ringbell::detail
