// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>

namespace ringbell::sys {

/// What `park_cost` is when it cannot be measured.
inline constexpr std::chrono::nanoseconds unknown_park_cost = std::chrono::microseconds(50);

/// Measures it (cpu.hpp), between two threads on these processors. `unknown_park_cost` when one is
/// negative, or threads are not to be had or bound.
std::chrono::nanoseconds measure_park_cost(int first_cpu, int second_cpu) noexcept;

/// Binds the calling thread to this processor. A file per system.
bool pin_this_thread(int cpu) noexcept;

}  // namespace ringbell::sys
