// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

#include <ringbell/asio/detail/asio_call.hpp>
#include <ringbell/coro/detail/awaitable.hpp>

#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// What `from_asio` returns, to be awaited once in a native coroutine.
template <class T, class CoroutineExecutor, class Executor>
using from_asio_awaitable = awaitable<asio_call_awaiter<T, CoroutineExecutor, Executor>, Executor,
                                      net::awaitable<T, CoroutineExecutor>>;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// Awaits an Asio coroutine in a native task: `co_await from_asio(executor, coroutine())`. It
/// spawns the `asio::awaitable` on `executor`, as `asio::co_spawn` does, and suspends the task
/// until the coroutine has ended. The result is the coroutine's value. It allocates.
///
/// Errors: throws the coroutine's exception. Asio's `system_error`, also Boost's, is thrown as
/// `std::system_error`. Throws `errc::cancelled` when the execution context goes before the
/// coroutine has ended.
/// Thread-safety: `executor` may run in the thread that runs the task's loop (an io_context that
/// drives the loop, or `asio_executor`) or in other threads. The coroutine runs there, the task on
/// its loop.
/// Cancellation: a stop is passed on as terminal cancellation. The task then waits until the
/// coroutine has ended, so what the coroutine refers to lives long enough. The task gets the
/// coroutine's value or exception, with `errc::cancelled` in place of `operation_aborted`. Only
/// when the suspended task is destroyed is the coroutine cancelled and left alone; what it refers
/// to must then outlive it.
/// Lifetime: the context outlives the coroutine or destroys it; the loop must outlive the task.
template <class Executor, class T, class CoroutineExecutor>
  requires(detail::is_executor<Executor> && !std::is_reference_v<T>)
detail::from_asio_awaitable<T, CoroutineExecutor, Executor> from_asio(
    Executor executor, net::awaitable<T, CoroutineExecutor> coroutine) {
  return detail::from_asio_awaitable<T, CoroutineExecutor, Executor>(std::move(executor),
                                                                     std::move(coroutine));
}
template <class ExecutionContext, class T, class CoroutineExecutor>
  requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
auto from_asio(ExecutionContext& context, net::awaitable<T, CoroutineExecutor> coroutine) {
  return from_asio(net::any_io_executor(context.get_executor()), std::move(coroutine));
}

}  // namespace ringbell::inline RINGBELL_ASIO_ABI

#endif
