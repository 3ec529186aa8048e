// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include <cstddef>
#include <utility>

namespace ringbell::sys {

/// Closes what a peer sent, without waiting for it. The last close of a file can take as long as
/// its owner likes: a TCP socket that lingers, a file of a FUSE or NFS server. So on POSIX systems
/// a thread of the library's own does it; the first call in a process starts it. It is sent no
/// signals, sleeps while it has nothing to close, and ends with the process. A forked child starts
/// its own when it needs one. While no thread can be started, the handle stays open, and the next
/// call tries again. On Windows the handle is closed at once: only events and sections come from
/// peers there, and these are closed without waiting.
///
/// Thread-safety: any thread.
void close_elsewhere(handle from_peer) noexcept;

/// How many handles `close_elsewhere` has taken and not closed yet. Thread-safety: any thread.
std::size_t closing_elsewhere() noexcept;

/// With so many of them a server admits no client, and a client does not connect: what peers sent
/// must not take all descriptors.
inline constexpr std::size_t most_closing_elsewhere = 128;

/// Owns a handle that a peer sent, as long as it is not known what it is. Nothing may be asked of
/// it that its file answers (`fstat`, `lseek`, `read`): the answer may not come. `close_elsewhere`
/// closes it.
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
  /// Takes it out, once it is known to be something that is closed without waiting.
  handle trusted() noexcept { return std::move(handle_); }

private:
  handle handle_;
};

}  // namespace ringbell::sys
