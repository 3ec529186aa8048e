// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/cpu.hpp>

#include <unistd.h>

namespace ringbell::sys {

unsigned usable_cpus() noexcept {
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  return online > 1 ? static_cast<unsigned>(online) : 1;
}

// The cost is not measured: macOS binds no thread to a processor, so the result would depend on the
// scheduler's choice.
std::chrono::nanoseconds park_cost() noexcept { return std::chrono::microseconds(50); }

int only_cpu() noexcept { return -1; }

}  // namespace ringbell::sys
