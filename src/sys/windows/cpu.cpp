// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/cpu.hpp>

#include "sys/windows/win32.hpp"

#include <algorithm>
#include <bit>

namespace ringbell::sys {

namespace {

// The thread's processors, within its group of up to 64. A thread that may run in several groups (Windows 11 with more than 64 processors) shows one.
GROUP_AFFINITY affinity() noexcept {
  GROUP_AFFINITY found{};
  if (!::GetThreadGroupAffinity(::GetCurrentThread(), &found)) found.Mask = 0;
  return found;
}

}  // namespace

unsigned usable_cpus() noexcept { return std::max(1U, static_cast<unsigned>(std::popcount(std::uint64_t{affinity().Mask}))); }

int only_cpu() noexcept {
  const GROUP_AFFINITY found = affinity();
  const std::uint64_t mask = found.Mask;
  return std::has_single_bit(mask) ? found.Group * 64 + std::countr_zero(mask) : -1;
}

std::chrono::nanoseconds park_cost() noexcept { return std::chrono::microseconds(50); }

}  // namespace ringbell::sys
