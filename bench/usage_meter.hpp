// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "link.hpp"
#include "slice.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ringbell::bench {

/// Counts the system calls that this process makes, by the kernel's tracepoint
/// raw_syscalls:sys_enter. While one exists, system calls of the whole machine take longer.
/// Thread-safety: one thread; threads that begin later count too.
class call_counter {
public:
  /// Throws `std::system_error`, or `std::runtime_error` when the kernel shows no such tracepoint.
  call_counter();
  call_counter(const call_counter&) = delete;
  call_counter& operator=(const call_counter&) = delete;
  ~call_counter();
  std::int64_t count() const;
  /// How many calls it takes to look; the difference of two looks has so many too many.
  std::int64_t own_calls() const noexcept { return static_cast<std::int64_t>(counters_.size()); }

  /// Why it does not work here; empty when it does.
  static std::string obstacle();

private:
  std::vector<int> counters_;  // one for each thread
};

/// What this process uses up between construction and `used`.
class usage_meter {
public:
  /// Counts system calls only if that works, and is asked for.
  usage_meter(const slice& s, const link& of);
  usage used() const;

private:
  static usage time_so_far();
  const link& of_;
  std::unique_ptr<call_counter> calls_;
  std::int64_t calls_before_ = 0;
  usage before_;
};

}  // namespace ringbell::bench
