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
class signal_set {
public:
  /// Throws `std::system_error`: `std::errc::invalid_argument` for what is no signal number.
  explicit signal_set(std::initializer_list<int> numbers);

  /// Waits for one of them, and gives its number. Cancellation: `errc::cancelled`; a signal that
  /// has come is then kept for the next call.
  task<int> next();

private:
  sys::signal_handle handle_;
};

/// Waits for one signal of a set, and gives its number. The set's signals are unblocked when that
/// has happened.
task<int> signalled(signal_set set);

/// `co_await signalled(SIGINT, SIGTERM)` waits for one of these signals, and gives its number: the
/// way to end a program in order. They are blocked from this call on until the wait has ended; from
/// then on they act as before, so a second Ctrl-C ends a program that takes long to stop. Errors
/// and cancellation as `signal_set`. (No braces: g++ 12 cannot compile a braced list of values in
/// an expression that awaits.)
template <std::same_as<int>... Signal>
  requires(sizeof...(Signal) > 0)
task<int> signalled(Signal... number) {
  return signalled(signal_set({number...}));
}

}  // namespace ringbell
