// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/operation.hpp>

#include <type_traits>
#include <utility>

// What an operation needs from an executor. The functions for the executors that most programs use
// are compiled once, as overloads; the templates are for all other executors.
namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

using context_executor = net::io_context::executor_type;

// Executors whose type alone fixes how they run a function (a promise's executor, Asio's system
// executor and others), or that cannot run one later (any_completion_executor). They do not say
// whether they are a strand. Deferring to them would run functions on threads that the program did
// not ask for, and asking for their context would start these threads.
template <class Executor>
concept goes_anywhere = !net::can_require<Executor, net::execution::blocking_t::never_t>::value ||
                        requires { Executor::query(net::execution::blocking); };

/// Whether an executor frees the memory for a function before it calls or destroys the function.
/// The executors of Asio's contexts do. A strand does not: when its context ends, what the strand
/// has posted for itself outlives the function.
template <class Executor>
inline constexpr bool frees_before_call = false;
template <class Allocator, auto Bits>
inline constexpr bool frees_before_call<net::io_context::basic_executor_type<Allocator, Bits>> =
    true;
template <class Allocator, auto Bits>
inline constexpr bool frees_before_call<net::thread_pool::basic_executor_type<Allocator, Bits>> =
    true;

template <class Executor>
void execute_on(const Executor& executor, turn&& t) {
#if RINGBELL_ASIO_VERSION < 102400
  net::execution::execute(executor, std::move(t));
#else
  executor.execute(std::move(t));
#endif
}

template <class Executor, class Allocator>
void run_with_memory(const Executor& executor, turn&& t, const Allocator& allocator) {
  if constexpr (frees_before_call<Executor>)
    execute_on(net::prefer(executor, net::execution::allocator(t.get_allocator())), std::move(t));
  else
    execute_on(net::prefer(executor, net::execution::allocator(allocator)), std::move(t));
}

/// Runs `t` later. `allocator` is used when it is not known when the executor frees memory.
template <class Executor, class Allocator>
void run_later(const Executor& executor, turn&& t, const Allocator& allocator) {
  run_with_memory(net::prefer(net::require(executor, net::execution::blocking.never),
                              net::execution::relationship.continuation),
                  std::move(t), allocator);
}
void run_later(const net::any_io_executor& executor, turn&& t, const std::allocator<void>&);
void run_later(const context_executor& executor, turn&& t, const std::allocator<void>&);

/// Runs `t` now if this is a thread of the executor, else later.
template <class Executor, class Allocator>
void run_soon(const Executor& executor, turn&& t, const Allocator& allocator) {
  run_with_memory(net::prefer(executor, net::execution::blocking.possibly), std::move(t),
                  allocator);
}
void run_soon(const net::any_io_executor& executor, turn&& t, const std::allocator<void>&);
void run_soon(const context_executor& executor, turn&& t, const std::allocator<void>&);

/// Returns a copy of an executor that keeps its context running as long as the copy lives.
template <class Executor>
auto with_work(const Executor& executor) {
  return net::prefer(executor, net::execution::outstanding_work.tracked);
}
net::any_io_executor with_work(const net::any_io_executor& executor);
template <class Executor>
using working = std::decay_t<decltype(with_work(std::declval<const Executor&>()))>;

/// Whether the executor is empty, as in an object that was made by its default constructor.
template <class Executor>
bool is_empty(const Executor&) noexcept {
  return false;
}
inline bool is_empty(const net::any_io_executor& executor) noexcept { return !executor; }

/// Returns the context of an executor.
/// Errors: throws `bad_executor` for an empty executor.
template <class Executor>
net::execution_context& context_of(const Executor& executor) {
  return net::query(executor, net::execution::context);
}
net::execution_context& context_of(const net::any_io_executor& executor);
/// Returns the context of an executor; null for an empty executor.
template <class Executor>
net::execution_context* context_if_any(const Executor& executor) {
  return is_empty(executor) ? nullptr : &context_of(executor);
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
