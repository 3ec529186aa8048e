// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/asio/detail/run_operation.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {
template <class T>
struct run_signature {
  using type = void(net_error_code, T);
};
template <>
struct run_signature<void> {
  using type = void(net_error_code);
};
/// The types that a handler can be given even when there was an error and no value.
template <class T>
concept run_value = std::is_void_v<T> || (std::default_initializable<T> && std::movable<T>);

template <class Executor, class T, class Token>
auto begin_run(const Executor& executor, run_start<T> start, Token&& token) {
  return net::async_initiate<Token, typename run_signature<T>::type>(
      initiate_run<T, Executor>(executor, executor), token, std::move(start));
}
/// `home` is the executor that drives the loop, when the object is on another one.
template <class Executor, class T, class Token>
auto begin_run(const Executor& executor, run_start<T> start, Token&& token,
               const net::any_io_executor& home) {
  return net::async_initiate<Token, typename run_signature<T>::type>(
      initiate_run<T, Executor>(executor, home), token, std::move(start));
}
}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// Runs a native task as an Asio operation. `lp` is the loop that `executor` drives by `run_in`, or
/// `executor` is the loop's own `asio_executor`. The task belongs to that loop from then on, and
/// begins on one of the loop's next turns.
/// Completion signature: `void(error_code, T)`, and `void(error_code)` for a `task<void>`. `T` has
/// to be movable and default-constructible, because with an error the handler gets a `T()`.
///
/// Errors: the code of the `std::system_error` that left the task, in Asio's terms as those of
/// `basic_asio_channel`. `no_memory` for `std::bad_alloc`, also when there is no memory to begin.
/// Any other exception is thrown in place of the call of the handler: it leaves the `run()` of the
/// handler's context, like an exception that the handler throws. So let the task catch what its
/// caller has to know.
///
/// Cancellation: the handler's cancellation slot, of any type, requests a stop of the task. The
/// task decides when and how it ends; `operation_aborted` means that it ended with
/// `errc::cancelled`. How much it has done by then depends on the task; a wait of this library that
/// is stopped has done nothing.
///
/// Handlers are not called from within this function, nor from within the loop. They are deferred
/// to their executors, with memory of their allocators.
/// Thread-safety: any thread. The task runs on `executor`. The handler runs on its own executor,
/// where its cancellation slot has to be emitted.
/// Lifetime: the task keeps both contexts busy. When the loop is destroyed first, the operation
/// ends with `operation_aborted`, like those of an I/O object that is destroyed. When the
/// executor's context is destroyed first, the handler is destroyed without being called, and the
/// task goes on.
template <class Executor, class T, class Token = net::default_completion_token_t<Executor>>
  requires detail::is_executor<Executor>
auto async_run(const Executor& executor, loop& lp, task<T> work,
               Token&& token = net::default_completion_token_t<Executor>()) {
  static_assert(detail::run_value<T>,
                "ringbell: async_run gives its handler a T made by T() when there is an error");
  return detail::begin_run(executor, detail::run_start<T>(lp, std::move(work)),
                           std::forward<Token>(token));
}
template <class ExecutionContext, class T, class... Token>
  requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
auto async_run(ExecutionContext& context, loop& lp, task<T> work, Token&&... token) {
  return async_run(net::any_io_executor(context.get_executor()), lp, std::move(work),
                   std::forward<Token>(token)...);
}

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
