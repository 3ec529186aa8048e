// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/process.hpp"

#include <cstdint>
#include <fstream>
#include <string>

namespace ringbell::test {

/// How many lines a file of /proc has with `text` in them.
inline int lines_with(const char* file, const char* text) {
  std::ifstream lines(file);
  std::string line;
  int count = 0;
  while (std::getline(lines, line))
    if (line.find(text) != std::string::npos) ++count;
  return count;
}

/// Whether a sanitizer keeps freed memory for a while, so that sizes say nothing.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool memory_is_kept = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool memory_is_kept = true;
#else
inline constexpr bool memory_is_kept = false;
#endif
#else
inline constexpr bool memory_is_kept = false;
#endif

/// What this process holds of the system.
struct resources {
  std::int64_t descriptors = 0;
  std::int64_t mappings = 0;  ///< of any kind
  std::int64_t regions = 0;   ///< of shared memory of channels, and of io_uring
  std::int64_t resident_kib = 0;

  static resources now() {
    resources r;
    r.descriptors = open_descriptors();
    r.mappings = lines_with("/proc/self/maps", "");
    r.regions = lines_with("/proc/self/maps", "memfd:ringbell") + lines_with("/proc/self/maps", "io_uring");
    std::ifstream pages("/proc/self/statm");
    std::int64_t size = 0;
    pages >> size >> r.resident_kib;
    r.resident_kib *= ::sysconf(_SC_PAGESIZE) / 1024;
    return r;
  }

  /// Whether something was leaked since `before`. The allocator may have mapped a little more.
  bool more_than(const resources& before) const noexcept {
    return descriptors > before.descriptors || regions > before.regions || (!memory_is_kept && mappings > before.mappings + 2);
  }
};

}  // namespace ringbell::test
