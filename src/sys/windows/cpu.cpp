// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/cpu.hpp>

#include "sys/park_cost.hpp"
#include "sys/windows/win32.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace ringbell::sys {

namespace {

constexpr int cpus_in_group = 64;

// The thread's processors within its group, which has up to 64. A thread that may run in several
// groups (Windows 11 with more than 64 processors) reports one of them.
GROUP_AFFINITY affinity() noexcept {
  GROUP_AFFINITY found{};
  if (!::GetThreadGroupAffinity(::GetCurrentThread(), &found)) found.Mask = 0;
  return found;
}

// The first of these processors; -1 when there is none.
int lowest(const GROUP_AFFINITY& of) noexcept {
  return of.Mask == 0 ? -1 : of.Group * cpus_in_group + std::countr_zero(std::uint64_t{of.Mask});
}

}  // namespace

unsigned usable_cpus() noexcept {
  return std::max(1U, static_cast<unsigned>(std::popcount(std::uint64_t{affinity().Mask})));
}

int only_cpu() noexcept {
  const GROUP_AFFINITY found = affinity();
  const std::uint64_t mask = found.Mask;
  return std::has_single_bit(mask) ? lowest(found) : -1;
}

bool pin_this_thread(int cpu) noexcept {
  GROUP_AFFINITY one{};
  one.Group = static_cast<WORD>(cpu / cpus_in_group);
  one.Mask = KAFFINITY{1} << (cpu % cpus_in_group);
  return ::SetThreadGroupAffinity(::GetCurrentThread(), &one, nullptr);
}

std::chrono::nanoseconds park_cost() noexcept {
  static const std::chrono::nanoseconds cost = [] {
    GROUP_AFFINITY usable = affinity();
    const int first = lowest(usable);
    usable.Mask &= usable.Mask - 1;
    return measure_park_cost(first, lowest(usable));
  }();
  return cost;
}

}  // namespace ringbell::sys
