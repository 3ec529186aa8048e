// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <cstdint>
#include <string_view>

namespace ringbell {

/// Returns the number of a method that has a name, as `ringbell call` computes it. It is the 32 bit
/// FNV-1a hash (Fowler, Noll, Vo: the FNV non-cryptographic hash algorithm) without the highest
/// bit, which marks ringbell's own methods. Two names of one service may have the same number,
/// though that is unlikely (one pair in two thousand million). A switch over them then does not
/// compile.
constexpr std::uint32_t method_id(std::string_view name) noexcept {
  std::uint32_t hash = 0x811c9dc5;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193;
  return hash & 0x7fff'ffff;
}

}  // namespace ringbell
