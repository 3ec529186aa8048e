// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "sys/posix/syscall.hpp"

#include <ringbell/sys/handle.hpp>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace ringbell::detail {

/// The watched files whose end a peer can see (sockets, pipes, terminals). It is an epoll set,
/// which does not hold its files open. An io_uring polls the set in their place.
class peer_set {
public:
  /// False for files without a name or a type, such as eventfds: a process that has one does not
  /// see others close theirs.
  static bool takes(sys::native_handle h) noexcept {
    struct stat file{};
    return ::fstat(h, &file) != 0 || (file.st_mode & S_IFMT) != 0;
  }

  std::error_code make() noexcept {
    set_ = sys::handle(::epoll_create1(EPOLL_CLOEXEC));
    return set_ ? std::error_code() : sys::last_error();
  }

  /// A handle that is readable while there is something to collect.
  sys::native_handle handle() const noexcept { return set_.get(); }

  /// Adds a file, for which collect() then reports `key`. A file that is already in the set gets a
  /// second descriptor, which `second` owns.
  /// Errors: EPERM for a file that is always ready; otherwise the system's.
  std::error_code add(sys::native_handle h, std::uint32_t mask, std::uint64_t key,
                      sys::handle& second) noexcept {
    epoll_event request{};
    request.events = mask;
    request.data.u64 = key;
    if (::epoll_ctl(set_.get(), EPOLL_CTL_ADD, h, &request) == 0) return {};
    if (errno != EEXIST) return sys::last_error();
    second = sys::handle(::fcntl(h, F_DUPFD_CLOEXEC, 0));
    if (second && ::epoll_ctl(set_.get(), EPOLL_CTL_ADD, second.get(), &request) == 0) return {};
    return sys::last_error();
  }

  void remove(sys::native_handle h) noexcept { ::epoll_ctl(set_.get(), EPOLL_CTL_DEL, h, nullptr); }

  /// To be called when the handle was reported readable. It is reported again when more comes, but
  /// not because something was left: see has_more().
  void notice() noexcept { has_more_ = true; }

  /// Whether the next collect() may find something although the handle is not reported again.
  bool has_more() const noexcept { return has_more_; }

  /// Calls `f(key, mask)` for what has happened. It does so for one batch, so that files that are
  /// always active do not keep the caller. Returns how many of these calls returned true. What the
  /// kernel did not return this time (a signal came, or memory was lacking) is asked for again: see
  /// has_more().
  template <class F>
  std::size_t collect(F f) {
    std::array<epoll_event, 64> batch;
    const int found = ::epoll_wait(set_.get(), batch.data(), static_cast<int>(batch.size()), 0);
    const std::size_t count = found > 0 ? static_cast<std::size_t>(found) : 0;
    has_more_ = found < 0 || count == batch.size();
    std::size_t delivered = 0;
    for (std::size_t i = 0; i < count; ++i)
      if (f(batch[i].data.u64, batch[i].events)) ++delivered;
    return delivered;
  }

private:
  sys::handle set_;
  bool has_more_ = false;
};

}  // namespace ringbell::detail
