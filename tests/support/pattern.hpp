// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace ringbell::test {

/// Bytes that follow from a seed, so that their receiver knows them, and a shift, a swap or a stale byte shows.
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
  while (!to.empty()) {
    const std::uint64_t word = p.next();
    const std::size_t n = to.size() < 8 ? to.size() : 8;
    std::memcpy(to.data(), &word, n);
    to = to.subspan(n);
  }
}

inline bool matches(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  pattern p(seed);
  while (!bytes.empty()) {
    const std::uint64_t word = p.next();
    const std::size_t n = bytes.size() < 8 ? bytes.size() : 8;
    if (std::memcmp(bytes.data(), &word, n) != 0) return false;
    bytes = bytes.subspan(n);
  }
  return true;
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
