// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/loop.hpp>

#include <chrono>

namespace ringbell::detail {

// Spinning: this many looks at the rings (1 to 10 ns each) pass before the clock and the kernel's events are looked at, first and
// ever after. An answer that is on its way arrives within the first, so an exchange of hot peers reads no clock.
inline constexpr unsigned rounds_per_clock_read = 64;
// PAUSE takes 40 to 140 cycles on current x86, as much as a cache line takes to arrive: no pause until the wait is a long one anyway.
inline constexpr unsigned rounds_before_pause = 2000;

// Who spins on a thread that others use as well lets them have it after this long. An exchange of hot peers takes some 0.3 us, so most waits end
// within one slice.
inline constexpr std::chrono::microseconds spin_slice{2};

/// `wanted`, or when that is `automatic` what RINGBELL_SPIN says. Throws `std::system_error` (`std::errc::invalid_argument`) when it is read and
/// has no such value.
spin_policy chosen_spin(spin_policy wanted);
/// How long a spin that has not paid may last: what parking costs, within reason. Measures on the first call, as `sys::park_cost`.
std::chrono::nanoseconds spin_limit() noexcept;

}  // namespace ringbell::detail
