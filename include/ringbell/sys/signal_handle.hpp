// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>
#include <ringbell/sys/handle.hpp>

#include <cstdint>
#include <span>
#include <system_error>

namespace ringbell::sys {

/// Receives signals by a handle instead of by interruption. While it exists, its signals are
/// blocked for the thread that created it, and a signal that arrives stays pending until it is
/// taken. A signal may still interrupt another thread that has not blocked it (and end the
/// process). So create the handle before starting threads: they inherit the blocked signals.
///
/// On Windows the signals are SIGINT (Ctrl-C), SIGBREAK (Ctrl-Break) and SIGTERM (the console's
/// window was closed, or the user logged off: some seconds are left), and those that the program
/// raises itself. Nothing is blocked there.
///
/// Thread-safety: none.
/// Lifetime: it must be destroyed on the thread that created it. Destruction unblocks the signals
/// that were not blocked before; a pending one then has its usual effect.
class signal_handle {
public:
  signal_handle() noexcept = default;
  signal_handle(signal_handle&& other) noexcept;
  signal_handle& operator=(signal_handle&& other) noexcept;
  ~signal_handle() { reset(); }

  /// Creates a handle for these signals.
  /// Errors: `std::errc::invalid_argument` when a number is not that of a signal (on Windows: not
  /// that of one of these three); otherwise the system's.
  static signal_handle create(std::span<const int> numbers, std::error_code& error) noexcept;

  /// Readable in a poll while a signal waits to be taken.
  native_handle native() const noexcept { return handle_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }
  /// Takes a signal that arrived, and returns its number.
  /// Errors: `errc::would_block` when there is none.
  result<int> take() noexcept;

private:
  std::error_code open(std::span<const int> blocked) noexcept;
  void reset() noexcept;

  handle handle_;
  std::uint64_t unblock_ = 0;  // bit n - 1: signal n is to be unblocked again
};

}  // namespace ringbell::sys
