// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <libproc.h>
#include <mach/mach_time.h>
#include <mach/vm_region.h>
#include <sys/proc_info.h>
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <vector>

/// What tests ask of macOS about what processes use.
namespace ringbell::test {

namespace usage_detail {

inline proc_taskinfo task_of(pid_t process) {
  proc_taskinfo info{};
  ::proc_pidinfo(process, PROC_PIDTASKINFO, 0, &info, sizeof info);
  return info;
}

}  // namespace usage_detail

/// What the system has counted for a process.
struct usage {
  std::int64_t sleeps =
      0;  ///< context switches, and so the involuntary ones as well: macOS does not tell them apart
  std::chrono::nanoseconds cpu{0};
  /// In what steps `cpu` grows, where they are coarse.
  static constexpr std::chrono::nanoseconds cpu_step{0};

  static usage of(pid_t process) {
    const proc_taskinfo info = usage_detail::task_of(process);
    mach_timebase_info_data_t unit{};
    ::mach_timebase_info(&unit);  // on arm64 a tick is not a nanosecond
    const auto [times, by] = unit;
    const auto ticks = info.pti_total_user + info.pti_total_system;
    return {info.pti_csw, std::chrono::nanoseconds(static_cast<std::int64_t>(ticks * times / by))};
  }
  friend usage operator-(const usage& a, const usage& b) {
    return {a.sleeps - b.sleeps, a.cpu - b.cpu};
  }
};

/// Whether all threads of a process sleep.
inline bool asleep(pid_t process) {
  const proc_taskinfo info = usage_detail::task_of(process);
  return info.pti_threadnum > 0 && info.pti_numrunning == 0;
}

/// How many threads this process has.
inline int threads() { return usage_detail::task_of(::getpid()).pti_threadnum; }

/// How many descriptors another process of this user has open.
inline int descriptors_of(pid_t process) {
  std::vector<proc_fdinfo> all(4096);
  const int bytes = ::proc_pidinfo(process, PROC_PIDLISTFDS, 0, all.data(),
                                   static_cast<int>(all.size() * sizeof all[0]));
  return bytes / static_cast<int>(sizeof all[0]);
}

/// The memory of this process.
struct memory_use {
  std::int64_t mappings = 0;  ///< of any kind
  std::int64_t regions = 0;   ///< of memory that is shared, whoever made it
  std::int64_t resident_kib = 0;

  static memory_use now() {
    memory_use m;
    proc_regioninfo area{};
    for (std::uint64_t at = 0;
         ::proc_pidinfo(::getpid(), PROC_PIDREGIONINFO, at, &area, sizeof area) == sizeof area;
         at = area.pri_address + area.pri_size) {
      ++m.mappings;
      if (area.pri_share_mode == SM_SHARED || area.pri_share_mode == SM_TRUESHARED) ++m.regions;
    }
    m.resident_kib =
        static_cast<std::int64_t>(usage_detail::task_of(::getpid()).pti_resident_size / 1024);
    return m;
  }
};

/// Nobody can be kept from starting threads here.
inline bool forbid_threads() { return false; }

}  // namespace ringbell::test
