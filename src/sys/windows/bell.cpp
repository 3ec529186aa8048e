// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/bell.hpp>

#include "sys/windows/object_type.hpp"
#include "sys/windows/win32.hpp"

namespace ringbell::sys {

const char* name_of(bell_kind kind) noexcept {
  switch (kind) {
    case bell_kind::eventfd: return "event";
    case bell_kind::socket: return "socket";
    case bell_kind::futex: return "futex";
  }
  return "unknown";
}

// A byte in the pipe would cost more than setting an event, and futexes do not work between
// processes.
bell_set system_bells() noexcept { return bell_bit(bell_kind::eventfd); }

event_bell event_bell::create(std::error_code& error) noexcept {
  SECURITY_ATTRIBUTES* const nobody = closed_to_all();
  handle event(nobody ? ::CreateEventW(nobody, FALSE, FALSE, nullptr) : nullptr);
  error = event    ? std::error_code()
          : nobody ? last_error()
                   : std::make_error_code(std::errc::not_enough_memory);
  return event_bell(std::move(event));
}

bool event_bell::is_event(native_handle h) noexcept { return type_of(h) == object_type::event; }

std::error_code event_bell::ring() noexcept {
  return ::SetEvent(handle_.get()) ? std::error_code() : last_error();
}

void event_bell::drain() noexcept { ::ResetEvent(handle_.get()); }

void event_bell::rearm() noexcept {}  // the wait has reset the event

}  // namespace ringbell::sys
