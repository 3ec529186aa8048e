// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace ringbell::test {

/// How many turns a test takes that repeats something: `usual`, times RINGBELL_TEST_TURNS where the
/// environment has that. 20 makes a long run of it, 0.1 a short one.
inline std::uint64_t turns(std::uint64_t usual) {
  const char* const factor = std::getenv("RINGBELL_TEST_TURNS");
  if (!factor) return usual;
  const double wanted = static_cast<double>(usual) * std::strtod(factor, nullptr);
  return static_cast<std::uint64_t>(std::max(wanted, 1.0));
}

}  // namespace ringbell::test
