// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace ringbell::bench {

inline constexpr std::uint64_t default_ring = 64 << 10;
inline constexpr std::uint64_t largest_size = 16 << 20;

/// The ring that messages of this size get: ringbell's usual one, or a larger one where a message
/// would not go into that in one piece.
constexpr std::uint64_t ring_bytes_for(std::uint64_t size) noexcept {
  return std::max(default_ring, std::bit_ceil(4 * size));
}

/// How many messages are published together where they are batched.
inline constexpr std::uint64_t messages_of_a_batch = 128;

}  // namespace ringbell::bench
