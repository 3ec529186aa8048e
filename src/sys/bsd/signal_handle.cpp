// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/signal_handle.hpp>

#include <ringbell/errors.hpp>

#include "sys/posix/syscall.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/event.h>
#include <sys/types.h>
#include <time.h>
#include <mutex>

namespace ringbell::sys {

namespace {

// EVFILT_SIGNAL reports each attempt to deliver a signal, blocked or not; the signal stays pending,
// and sigwait takes it. EVFILT_SIGNAL does not report a signal that was pending before: a user
// event (EVFILT_USER) with the same number announces it.
std::error_code add(native_handle queue, int signal, short filter, unsigned fflags) noexcept {
  struct kevent change;
  EV_SET(&change, static_cast<std::uintptr_t>(signal), filter, EV_ADD | EV_CLEAR, 0, 0, nullptr);
  if (::kevent(queue, &change, 1, nullptr, 0, nullptr) < 0) return last_error();
  if (fflags == 0) return {};
  EV_SET(&change, static_cast<std::uintptr_t>(signal), filter, 0, fflags, 0, nullptr);
  return ::kevent(queue, &change, 1, nullptr, 0, nullptr) < 0 ? last_error() : std::error_code();
}

// Takes a pending signal. sigwait would block when another handle had taken the signal in between,
// so only one handle at a time does this.
bool take_pending(int signal) noexcept {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  sigset_t pending, wanted;
  ::sigpending(&pending);
  if (sigismember(&pending, signal) != 1) return false;
  sigemptyset(&wanted);
  sigaddset(&wanted, signal);
  int taken = 0;
  return ::sigwait(&wanted, &taken) == 0;
}

}  // namespace

std::error_code signal_handle::open(std::span<const int> signals) noexcept {
  handle queue(::kqueue());
  if (!queue || ::fcntl(queue.get(), F_SETFD, FD_CLOEXEC) != 0) return last_error();
  sigset_t pending;
  // The caller has blocked the signals, so a signal that is pending now stays pending. They are
  // added first, so that each signal shows in one of the two ways.
  for (const int signal : signals)
    if (const std::error_code error = add(queue.get(), signal, EVFILT_SIGNAL, 0)) return error;
  ::sigpending(&pending);
  for (const int signal : signals) {
    if (sigismember(&pending, signal) != 1) continue;
    if (const std::error_code error = add(queue.get(), signal, EVFILT_USER, NOTE_TRIGGER))
      return error;
  }
  handle_ = std::move(queue);
  return {};
}

result<int> signal_handle::take() noexcept {
  const timespec at_once{};
  for (;;) {
    struct kevent event;
    const int count =
        retry([&] { return ::kevent(handle_.get(), nullptr, 0, &event, 1, &at_once); });
    if (count < 0) return last_error();
    if (count == 0) return errc::would_block;
    if (take_pending(static_cast<int>(event.ident))) return static_cast<int>(event.ident);
  }
}

}  // namespace ringbell::sys
