// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace ringbell::test {

/// Bytes that follow from a seed, so that their receiver knows them, and a shift, a swap or a stale
/// byte shows.
class pattern {
public:
  explicit pattern(std::uint64_t seed) noexcept : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t next() noexcept {
    state_ += 0xd1b54a32d192ed03u;
    return state_ ^ (state_ >> 29);
  }

private:
  std::uint64_t state_;
};

inline void fill(std::span<std::byte> to, std::uint64_t seed) noexcept {
  pattern p(seed);
  std::byte* at = to.data();
  std::size_t left = to.size();
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint64_t word = p.next();
    std::memcpy(at, &word, 8);
  }
  const std::uint64_t word = p.next();
  if (left != 0) std::memcpy(at, &word, left);
}

inline bool matches(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  pattern p(seed);
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    if (word != p.next()) return false;
  }
  const std::uint64_t word = p.next();
  return left == 0 || std::memcmp(at, &word, left) == 0;
}

inline std::vector<std::byte> patterned(std::size_t size, std::uint64_t seed) {
  std::vector<std::byte> bytes(size);
  fill(bytes, seed);
  return bytes;
}

/// A number below `limit` that follows from a seed.
inline std::uint64_t pick(std::uint64_t seed, std::uint64_t limit) noexcept {
  pattern p(seed ^ 0x5851f42d4c957f2du);
  p.next();
  const std::uint64_t word = p.next();
  return (word ^ (word >> 31)) * 0x94d049bb133111ebu % limit;
}

}  // namespace ringbell::test
