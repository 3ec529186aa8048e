// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <cstdint>
#include <utility>

namespace ringbell::sys {

/// One end of a connected Unix socket. Its destruction does not wait for what the peer may have put
/// into it: when it contains handles that were not received, the thread of `close_elsewhere` closes
/// it.
class socket_end {
public:
  socket_end() noexcept = default;
  socket_end(handle&& connected) noexcept;
  socket_end(socket_end&& other) noexcept
      : fd_(std::exchange(other.fd_, invalid_handle)),
        lets_handles_in_(other.lets_handles_in_),
        process_(other.process_) {}
  socket_end& operator=(socket_end&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, invalid_handle);
      lets_handles_in_ = other.lets_handles_in_;
      process_ = other.process_;
    }
    return *this;
  }
  ~socket_end() { close(); }

  native_handle get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ != invalid_handle; }

  /// See `local_socket::let_no_handles_in`.
  bool let_no_handles_in() noexcept;
  /// False once it is certain that the socket contains no handles and never will.
  bool lets_handles_in() const noexcept { return lets_handles_in_; }

private:
  void close() noexcept;

  native_handle fd_ = invalid_handle;
  bool lets_handles_in_ = true;
  std::uint64_t process_ = 0;  // the process that made it: a forked child must not shut it down
};

}  // namespace ringbell::sys
