// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include <cstddef>
#include <utility>

namespace ringbell::sys {

/// Closes a handle that a peer sent, without waiting for the close. The last close of a file can
/// take as long as the owner of the file likes: examples are a TCP socket that lingers and a file
/// of a FUSE or NFS server.
///
/// On POSIX systems a thread of the library closes it. The first call in a process starts this
/// thread. It receives no signals, sleeps while it has nothing to close, and ends with the process.
/// A forked child starts its own when it needs one. While no thread can be started, the handle
/// stays open, and the next call tries again. On Windows the handle is closed at once: peers send
/// only events and sections there, and closing these does not wait.
///
/// Thread-safety: any thread.
void close_elsewhere(handle from_peer) noexcept;

/// How many handles `close_elsewhere` has taken and not closed yet.
/// Thread-safety: any thread.
std::size_t closing_elsewhere() noexcept;

/// When so many handles wait to be closed, a server admits no client, and a client does not
/// connect: what peers sent must not use up all descriptors.
inline constexpr std::size_t most_closing_elsewhere = 128;

/// Owns a handle that a peer sent, while it is not known what it refers to. Do not call anything
/// that its file has to answer (`fstat`, `lseek`, `read`): the answer may never come.
/// `close_elsewhere` closes it.
/// Thread-safety: none, as an int's.
class foreign_handle {
public:
  foreign_handle() noexcept = default;
  foreign_handle(handle from_peer) noexcept : handle_(std::move(from_peer)) {}
  foreign_handle(foreign_handle&&) noexcept = default;
  foreign_handle& operator=(foreign_handle&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::move(other.handle_);
    }
    return *this;
  }
  ~foreign_handle() { reset(); }

  native_handle get() const noexcept { return handle_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }
  void reset() noexcept {
    if (handle_) close_elsewhere(std::move(handle_));
  }
  /// Takes the handle out, once it is known that closing it does not wait.
  handle trusted() noexcept { return std::move(handle_); }

private:
  handle handle_;
};

}  // namespace ringbell::sys
