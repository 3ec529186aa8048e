// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/loop.hpp>

#include <cstdint>

namespace ringbell::test {

/// Not counted here: what a loop and its channels count themselves has to do.
inline std::uint64_t switches_of_this_process() { return 0; }

/// With what policy the two sides of a hot exchange find out that polling pays. Wine wakes a
/// sleeper so slowly that at first no answer comes within the time that an adaptive side polls.
inline constexpr spin_policy hot_policy = spin_policy::always;

}  // namespace ringbell::test
