// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/os_usage.hpp"
#include "support/process.hpp"

#include <chrono>
#include <cstdint>

namespace ringbell::test {

/// Whether a sanitizer keeps freed memory for a while, or maps memory of its own as the program
/// goes on, so that sizes say nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool memory_is_kept = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool memory_is_kept = true;
#else
inline constexpr bool memory_is_kept = false;
#endif
#else
inline constexpr bool memory_is_kept = false;
#endif

/// Whether everything takes several times as long here as it does elsewhere, so that tests make
/// fewer rounds.
inline constexpr bool slow_here = memory_is_kept;

/// How long two processes take to connect, by and large.
inline constexpr std::chrono::milliseconds a_handshake{3};

/// What this process holds of the system.
struct resources : memory_use {
  std::int64_t descriptors = 0;

  static resources now() {
    resources r;
    r.descriptors = open_descriptors();
    static_cast<memory_use&>(r) = memory_use::now();
    return r;
  }

  /// Whether something was leaked since `before`. The allocator may have mapped a little more.
  bool more_than(const resources& before) const noexcept {
    return descriptors > before.descriptors || regions > before.regions ||
           (!memory_is_kept && mappings > before.mappings + 2);
  }
};

}  // namespace ringbell::test
