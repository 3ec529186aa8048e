// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <cstdint>

namespace ringbell::ring {
struct channel_counters;
}

namespace ringbell {

/// What one side of a channel has done so far.
struct channel_statistics {
  std::uint64_t messages_sent = 0;      ///< messages published
  std::uint64_t bytes_sent = 0;         ///< their bytes
  std::uint64_t messages_received = 0;  ///< messages received
  std::uint64_t bytes_received = 0;     ///< their bytes
  std::uint64_t parks = 0;              ///< times that it slept on this channel
  std::uint64_t bells_rung = 0;         ///< system calls made to wake the peer
  std::uint64_t bells_suppressed = 0;   ///< publications that found the peer awake
  std::uint64_t spins_paid = 0;         ///< waits that ended before this side slept
  std::uint64_t ring_full_stalls = 0;   ///< sends that found no space
};

namespace detail {
channel_statistics statistics_of(const ring::channel_counters& counters) noexcept;
}  // namespace detail

}  // namespace ringbell
