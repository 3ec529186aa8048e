// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/bell.hpp>

#include "sys/posix/syscall.hpp"

#include <fcntl.h>
#include <sys/event.h>
#include <sys/types.h>
#include <time.h>

namespace ringbell::sys {

namespace {

// A bell is a user event (EVFILT_USER) in a kqueue that contains nothing else. The event is
// triggered, not counted, so it is never full. A kqueue is a descriptor that can be polled like any
// other.
constexpr std::uintptr_t bell_ident = 1;

int tell(native_handle queue, unsigned flags, unsigned fflags) noexcept {
  struct kevent change;
  EV_SET(&change, bell_ident, EVFILT_USER, static_cast<unsigned short>(flags), fflags, 0, nullptr);
  return insist([&] { return ::kevent(queue, &change, 1, nullptr, 0, nullptr); });
}

}  // namespace

// An event cannot be sent to another process, and not all of these systems have futexes that
// processes share.
bell_set system_bells() noexcept { return bell_bit(bell_kind::socket); }

event_bell event_bell::create(std::error_code& error) noexcept {
  handle queue(::kqueue());
  if (!queue || ::fcntl(queue.get(), F_SETFD, FD_CLOEXEC) != 0 ||
      tell(queue.get(), EV_ADD | EV_CLEAR, 0) < 0) {
    error = last_error();
    return {};
  }
  error.clear();
  return event_bell(std::move(queue));
}

bool event_bell::is_event(native_handle) noexcept { return false; }

std::error_code event_bell::ring() noexcept {
  return tell(handle_.get(), 0, NOTE_TRIGGER) < 0 ? last_error() : std::error_code();
}

void event_bell::drain() noexcept {
  struct kevent rung;
  const timespec at_once{};
  (void)retry([&] { return ::kevent(handle_.get(), nullptr, 0, &rung, 1, &at_once); });
}

// A triggered event that was not taken does not notify again when it is triggered again.
void event_bell::rearm() noexcept { drain(); }

}  // namespace ringbell::sys
