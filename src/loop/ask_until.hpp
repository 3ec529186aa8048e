// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>

namespace ringbell::detail {

/// Calls `ask(limit)`, which sleeps for `limit` at most (`nanoseconds::max()`: without end) and
/// returns how many events it has delivered, until it has delivered some or `until` is over. What
/// ends a sleep early, such as a signal, is slept through. An `until` that is over asks once.
template <class Ask>
std::size_t ask_until(std::chrono::steady_clock::time_point until, Ask ask) {
  using std::chrono::nanoseconds;
  using std::chrono::steady_clock;
  for (;;) {
    nanoseconds limit = nanoseconds::max();
    // The clock is not read where it does not matter.
    if (until == steady_clock::time_point::min())
      limit = nanoseconds(0);
    else if (until != steady_clock::time_point::max())
      limit = time_left(until);
    if (const std::size_t events = ask(limit)) return events;
    if (until != steady_clock::time_point::max() && steady_clock::now() >= until) return 0;
  }
}

}  // namespace ringbell::detail
