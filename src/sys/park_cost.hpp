// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>

namespace ringbell::sys {

/// The value of `park_cost` when it cannot be measured.
inline constexpr std::chrono::nanoseconds unknown_park_cost = std::chrono::microseconds(50);

/// Measures `park_cost` (cpu.hpp) between two threads on these processors. Returns
/// `unknown_park_cost` when one of the numbers is negative, or when the threads cannot be started
/// or bound.
std::chrono::nanoseconds measure_park_cost(int first_cpu, int second_cpu) noexcept;

/// Binds the calling thread to this processor. Each system has its own definition.
bool pin_this_thread(int cpu) noexcept;

}  // namespace ringbell::sys
