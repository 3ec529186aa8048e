// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/futex.hpp>

#include <liburing.h>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

namespace ringbell::detail {

/// The result of a trial ring.
struct ring_features {
  unsigned flags = 0;
  bool futex = false;
  bool no_iowait = false;
};

/// Makes small rings, the best kind first, and tries on them the operations that the reactor
/// depends on. The first `skip` kinds are left out. Fills in `features`, or describes in `why_not`
/// what failed.
std::error_code try_io_uring(std::size_t skip, ring_features& features, std::string& why_not);

/// Converts an error of liburing, which is a negative number.
inline std::error_code system_error_of(int negative) noexcept {
  return {-negative, std::system_category()};
}

/// Enables a ring that was made with IORING_SETUP_R_DISABLED. Returns a negative error.
int enable_ring(const io_uring& ring) noexcept;

/// Prepares a single wait until the word is woken or differs from `expected` (then it ends with
/// -EAGAIN). Only with ring_features::futex.
void prepare_futex_wait(io_uring_sqe* entry, const sys::futex_word& word,
                        std::uint32_t expected) noexcept;

}  // namespace ringbell::detail
