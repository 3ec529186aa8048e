// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop.hpp>

#include <windows.h>

#include <cstdint>

namespace ringbell::test {

/// Not counted here: what a loop and its channels count themselves has to do.
inline std::uint64_t switches_of_this_process() { return 0; }

/// Whether others keep more than half of all processors busy, while this thread sleeps.
inline bool machine_is_busy() {
  const auto now = [](std::uint64_t& idle) {
    const auto of = [](const FILETIME& t) { return std::uint64_t{t.dwHighDateTime} << 32 | t.dwLowDateTime; };
    FILETIME not_used{}, kernel{}, user{};  // of all processors together; `kernel` has the idle time in it
    ::GetSystemTimes(&not_used, &kernel, &user);
    idle = of(not_used);
    return of(kernel) + of(user);
  };
  std::uint64_t idle_before = 0, idle_after = 0;
  const std::uint64_t before = now(idle_before);
  ::Sleep(500);
  const std::uint64_t after = now(idle_after);
  return 2 * (idle_after - idle_before) < after - before;
}

/// With what policy the two sides of a hot exchange find out that polling pays. Wine wakes a sleeper so slowly that at first no answer
/// comes within the time that an adaptive side polls.
inline constexpr spin_policy hot_policy = spin_policy::always;

}  // namespace ringbell::test
