// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/futex.hpp>

#include <liburing.h>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

namespace ringbell::detail {

/// What a trial ring has found out.
struct ring_features {
  unsigned flags = 0;
  bool futex = false;
  bool no_iowait = false;
};

/// Makes small rings, best kind first, and tries on them what the reactor depends on. `skip` leaves
/// out as many kinds. Fills in `features`, or says in `why_not`, for people, what failed.
std::error_code try_io_uring(std::size_t skip, ring_features& features, std::string& why_not);

/// liburing returns errors as negative numbers.
inline std::error_code system_error_of(int negative) noexcept {
  return {-negative, std::system_category()};
}

/// Enables a ring that was made with IORING_SETUP_R_DISABLED. Returns a negative error.
int enable_ring(const io_uring& ring) noexcept;

/// A wait, once, until the word is woken or differs from `expected` (then it ends with -EAGAIN).
/// Only with ring_features::futex.
void prepare_futex_wait(io_uring_sqe* entry, const sys::futex_word& word,
                        std::uint32_t expected) noexcept;

}  // namespace ringbell::detail
