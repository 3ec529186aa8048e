// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <poll.h>

#include <cerrno>
#include <chrono>

namespace ringbell::test {

/// Whether there is something to read, or a hang-up, within that time.
inline bool readable_within(sys::native_handle h, std::chrono::milliseconds limit) {
  pollfd p{h, POLLIN, 0};
  int n;
  while ((n = ::poll(&p, 1, static_cast<int>(limit.count()))) < 0 && errno == EINTR) {}
  return n > 0;
}

}  // namespace ringbell::test
