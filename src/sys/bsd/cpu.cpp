// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/cpu.hpp>

#include <unistd.h>

namespace ringbell::sys {

unsigned usable_cpus() noexcept {
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  return online > 1 ? static_cast<unsigned>(online) : 1;
}

// Not measured: macOS binds no thread to a processor, so a measurement would be of whatever the
// scheduler liked.
std::chrono::nanoseconds park_cost() noexcept { return std::chrono::microseconds(50); }

int only_cpu() noexcept { return -1; }

}  // namespace ringbell::sys
