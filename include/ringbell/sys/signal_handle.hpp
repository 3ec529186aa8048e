// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>
#include <ringbell/sys/handle.hpp>

#include <cstdint>
#include <span>
#include <system_error>

namespace ringbell::sys {

/// Takes signals from a handle instead of by interruption. On Windows: SIGINT (Ctrl-C), SIGBREAK
/// (Ctrl-Break) and SIGTERM (the console's window was closed, or the user logged off: some seconds
/// are left) as well as what the program raises itself; nothing is blocked there. While it exists,
/// they are blocked for the thread that created it; what comes meanwhile waits to be taken. Another
/// thread that has not blocked them may still be interrupted (and the process ended): create it
/// before starting threads, which inherit what is blocked.
///
/// Thread-safety: none; to be destroyed on the thread that created it, which unblocks the signals
/// that were not blocked before. One that is pending then takes its usual effect.
class signal_handle {
public:
  signal_handle() noexcept = default;
  signal_handle(signal_handle&& other) noexcept;
  signal_handle& operator=(signal_handle&& other) noexcept;
  ~signal_handle() { reset(); }

  /// Errors: `std::errc::invalid_argument` when one is no signal number, or none of those that
  /// Windows has; else the system's.
  static signal_handle create(std::span<const int> numbers, std::error_code& error) noexcept;

  /// Polls readable while a signal waits to be taken.
  native_handle native() const noexcept { return handle_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }
  /// The number of a signal that came. Errors: `errc::would_block` when there is none.
  result<int> take() noexcept;

private:
  std::error_code open(std::span<const int> blocked) noexcept;
  void reset() noexcept;

  handle handle_;
  std::uint64_t unblock_ = 0;  // bit n - 1: signal n, to be unblocked again
};

}  // namespace ringbell::sys
