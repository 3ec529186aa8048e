// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <system_error>
#include <utility>

namespace ringbell::sys {

/// Owns one native handle (a file descriptor). Destruction closes the handle, and a move transfers
/// it.
/// Thread-safety: none, as an int's.
class handle {
public:
  handle() noexcept = default;
  explicit handle(native_handle h) noexcept : h_(h) {}
  handle(handle&& other) noexcept : h_(std::exchange(other.h_, invalid_handle)) {}
  handle& operator=(handle&& other) noexcept {
    if (this != &other) {
      reset();
      h_ = std::exchange(other.h_, invalid_handle);
    }
    return *this;
  }
  ~handle() { reset(); }

  native_handle get() const noexcept { return h_; }
  explicit operator bool() const noexcept { return h_ != invalid_handle; }
  /// Returns the handle and gives up its ownership.
  native_handle release() noexcept { return std::exchange(h_, invalid_handle); }
  /// Closes the handle, if there is one.
  void reset() noexcept;
  /// Makes a second handle to the same object, which child processes do not inherit.
  /// Errors: the system's.
  handle duplicate(std::error_code& error) const noexcept;

private:
  native_handle h_ = invalid_handle;
};

}  // namespace ringbell::sys
