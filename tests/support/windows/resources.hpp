// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/process.hpp"

#include <windows.h>

#include <psapi.h>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace ringbell::test {

/// Whether freed memory is kept for a while, so that sizes say nothing.
inline constexpr bool memory_is_kept = false;

/// Everything takes several times as long under Wine.
inline constexpr bool slow_here = true;

/// How long two processes take to connect, by and large.
inline constexpr std::chrono::milliseconds a_handshake{80};

/// What this process holds of the system.
struct resources {
  std::int64_t descriptors = 0;
  std::int64_t mappings = 0;  ///< views of sections, of any kind: they have no names
  std::int64_t regions = 0;   ///< not known apart from other sections
  std::int64_t resident_kib = 0;

  static resources now() {
    resources r;
    r.descriptors = open_descriptors();
    MEMORY_BASIC_INFORMATION area{};
    for (const std::byte* at = nullptr; ::VirtualQuery(at, &area, sizeof area) == sizeof area;
         at = static_cast<const std::byte*>(area.BaseAddress) + area.RegionSize)
      if (area.Type == MEM_MAPPED && area.State == MEM_COMMIT &&
          area.AllocationBase == area.BaseAddress)
        ++r.mappings;
    PROCESS_MEMORY_COUNTERS memory{};
    if (::K32GetProcessMemoryInfo(::GetCurrentProcess(), &memory, sizeof memory))
      r.resident_kib = static_cast<std::int64_t>(memory.WorkingSetSize / 1024);
    return r;
  }

  /// Whether something was leaked since `before`.
  bool more_than(const resources& before) const noexcept {
    return descriptors > before.descriptors + handles_of_the_system ||
           mappings > before.mappings + 2;
  }
};

}  // namespace ringbell::test
