// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include "support/handle_count.hpp"

#include <windows.h>

#include <chrono>
#include <cstdint>

/// What tests ask of Windows about what processes use.
namespace ringbell::test {

/// What the system has counted for a process.
struct usage {
  std::int64_t sleeps = 0;  ///< not counted here
  std::chrono::nanoseconds cpu{0};
  /// In what steps `cpu` grows: ticks of the clock, of up to 15.6 ms.
  static constexpr std::chrono::nanoseconds cpu_step = std::chrono::milliseconds(16);

  static usage of(DWORD process) {
    const sys::handle opened(::OpenProcess(PROCESS_QUERY_INFORMATION, FALSE, process));
    FILETIME begun{}, ended{}, kernel{}, user{};
    ::GetProcessTimes(opened.get(), &begun, &ended, &kernel, &user);
    const auto of = [](const FILETIME& t) {
      return std::chrono::nanoseconds((std::int64_t{t.dwHighDateTime} << 32 | t.dwLowDateTime) * 100);
    };
    return {0, of(kernel) + of(user)};
  }
  friend usage operator-(const usage& a, const usage& b) { return {a.sleeps - b.sleeps, a.cpu - b.cpu}; }
};

/// Whether a process sleeps. The system tells in no way that Wine knows: so whether it has used no processor time for several ticks.
inline bool asleep(DWORD process) {
  const auto before = usage::of(process).cpu;
  ::Sleep(100);
  return usage::of(process).cpu == before;
}

/// How many handles another process of this user has open.
inline int descriptors_of(DWORD process) { return handles_of(process); }

}  // namespace ringbell::test
