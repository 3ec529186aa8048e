// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace ringbell::bench {

enum class traffic : std::uint8_t {
  ping_pong,  ///< one message there, one back
  one_way     ///< all messages there, then one small one back
};

/// A short run of one link, as both of its processes hear of it. Before the messages that count
/// come `lead_in` more, of the same kind.
struct slice {
  traffic kind = traffic::ping_pong;
  bool each = false;         ///< the clock is read for each message; otherwise once for each batch
  bool count_calls = false;  ///< system calls are counted, which makes them slower: no times
  std::uint64_t size = 8;    ///< bytes of a message
  std::uint64_t messages = 0;  ///< those that count
  std::uint64_t lead_in = 0;
  std::uint64_t batch = 1;
  std::int64_t gap =
      /// nanoseconds from when a message is meant to be sent to when the next one is; 0: at once
      0;

  std::uint64_t all() const noexcept { return lead_in + messages; }
};

/// What one process, or both together, used up in a slice. Counts that nobody has are -1.
struct usage {
  double cpu = 0;             ///< nanoseconds of processor time
  std::int64_t switches = 0;  ///< context switches, voluntary and not
  std::int64_t calls = -1;    ///< system calls
  std::int64_t bells = -1;    ///< ringbell's: times that the peer was woken
  std::int64_t parks = -1;    ///< ringbell's: times that this side slept

  usage& operator+=(const usage& other) noexcept {
    const auto sum = [](std::int64_t a, std::int64_t b) { return a < 0 || b < 0 ? -1 : a + b; };
    cpu += other.cpu;
    switches += other.switches;
    calls = sum(calls, other.calls);
    bells = sum(bells, other.bells);
    parks = sum(parks, other.parks);
    return *this;
  }
};

/// What a link knows of its own sleeping and waking; -1 where it keeps no count.
struct wake_counts {
  std::int64_t bells = -1;
  std::int64_t parks = -1;
};

}  // namespace ringbell::bench
