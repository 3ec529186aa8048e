// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "loop/object_wait.hpp"
#include "loop/reactor.hpp"

#include <ringbell/sys/handle.hpp>

#include <doctest/doctest.h>

#include <windows.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <vector>

#include "support/process.hpp"

namespace ringbell::test {

using namespace ringbell::detail;

// The reactors of Windows: a completion port, with packets where the system has them, and without.
template <bool Packets>
struct port {
  static std::unique_ptr<reactor> make() {
    if (Packets && !has_wait_packets()) {
      MESSAGE("skipped: this system has no wait completion packets");
      return nullptr;
    }
    std::error_code error;
    auto made = make_iocp_reactor(error, Packets);
    REQUIRE_MESSAGE(made, error.message());
    return made;
  }
};
using port_with_packets = port<true>;
using port_with_threads = port<false>;

#define RINGBELL_REACTORS port_with_packets, port_with_threads

/// Whether a signal takes a moment from the object to the reactor.
inline constexpr bool signals_take_a_moment = true;

/// By how much the pollable handle may be early: the timer counts ticks, and not those of
/// steady_clock.
inline constexpr std::chrono::milliseconds early_timers{5};

/// What a reactor may leave open in the system's own pools: of 50 of them, less than one each.
inline constexpr int handles_of_pools = 24;

/// A number that no open handle has.
inline const sys::native_handle no_handle =
    reinterpret_cast<sys::native_handle>(std::uintptr_t{0x3fffff0});

using event_handle = sys::handle;

/// An object that can be signalled, and that is from the beginning when it is `set`. A watch takes
/// the signal.
inline sys::handle make_event(bool set = false) {
  sys::handle made(::CreateEventW(nullptr, FALSE, set, nullptr));
  REQUIRE(made);
  return made;
}

/// One that is signalled, and stays so.
inline sys::handle make_lasting_event() {
  sys::handle made(::CreateEventW(nullptr, TRUE, TRUE, nullptr));
  REQUIRE(made);
  return made;
}

inline void signal_bell(const sys::handle& event) { ::SetEvent(event.get()); }

/// Makes an object ready again, of which a watch has taken the signal.
inline void keep_ready(const sys::handle& event) { signal_bell(event); }

/// Whether an object is signalled within that time; the signal of an event of make_event() is then
/// taken.
inline bool is_readable(sys::native_handle object, std::chrono::milliseconds limit = {}) {
  return ::WaitForSingleObject(object, static_cast<DWORD>(limit.count())) == WAIT_OBJECT_0;
}

inline std::vector<sys::handle> many_events(std::size_t wanted) {
  std::vector<sys::handle> events;
  while (events.size() < wanted) events.push_back(make_event());
  return events;
}

}  // namespace ringbell::test
