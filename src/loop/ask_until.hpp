// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>

namespace ringbell::detail {

/// Calls `ask(limit)` until it has delivered events or `until` has passed. `ask` sleeps for at most
/// `limit` (`nanoseconds::max()` means without end), and returns how many events it has delivered.
/// When something ends a sleep early, such as a signal, the sleep continues. When `until` has
/// already passed, `ask` is called once.
template <class Ask>
std::size_t ask_until(std::chrono::steady_clock::time_point until, Ask ask) {
  using std::chrono::nanoseconds;
  using std::chrono::steady_clock;
  for (;;) {
    nanoseconds limit = nanoseconds::max();
    // The clock is read only when it matters.
    if (until == steady_clock::time_point::min())
      limit = nanoseconds(0);
    else if (until != steady_clock::time_point::max())
      limit = time_left(until);
    if (const std::size_t events = ask(limit)) return events;
    if (until != steady_clock::time_point::max() && steady_clock::now() >= until) return 0;
  }
}

}  // namespace ringbell::detail
