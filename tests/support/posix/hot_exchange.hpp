// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/loop.hpp>

#include <sys/resource.h>

#include <cstdint>

namespace ringbell::test {

/// How often this process has given its processor away of its own accord.
inline std::uint64_t switches_of_this_process() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_nvcsw);
}

/// With what policy the two sides of a hot exchange find out that polling pays.
inline constexpr spin_policy hot_policy = spin_policy::automatic;

}  // namespace ringbell::test
