// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/task.hpp>
#include <ringbell/sys/signal_handle.hpp>

#include <concepts>
#include <initializer_list>

namespace ringbell {

/// Signals that a coroutine waits for. From construction to destruction they are blocked for this
/// thread, and none is lost between two calls of next(). Construct it before starting threads: see
/// `sys::signal_handle`.
///
/// Thread-safety: none; constructed and destroyed on the loop's thread.
/// Lifetime: it must outlive the task that `next` returns.
class signal_set {
public:
  /// Throws `std::system_error`: `std::errc::invalid_argument` when a number is not that of a
  /// signal; otherwise the system's error.
  explicit signal_set(std::initializer_list<int> numbers);

  /// Waits for one of the signals, and returns its number.
  /// Cancellation: `errc::cancelled`; a signal that has come is kept for the next call.
  task<int> next();

private:
  sys::signal_handle handle_;
};

/// Waits for one signal of a set, and returns its number. Then the signals of the set are
/// unblocked.
task<int> signalled(signal_set set);

/// `co_await signalled(SIGINT, SIGTERM)` waits for one of these signals, and returns its number.
/// This is the way to end a program in order.
///
/// The signals are blocked from this call on until the wait has ended. After that they have their
/// usual effect, so a second Ctrl-C ends a program that takes long to stop. (The arguments are not
/// in braces because g++ 12 cannot compile a braced list of values in an expression that awaits.)
/// Errors: those of `signal_set`.
/// Thread-safety: none; the loop's thread.
/// Cancellation: as `signal_set::next`.
template <std::same_as<int>... Signal>
  requires(sizeof...(Signal) > 0)
task<int> signalled(Signal... number) {
  return signalled(signal_set({number...}));
}

}  // namespace ringbell
