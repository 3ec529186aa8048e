// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <time.h>
#include <cerrno>
#include <system_error>

namespace ringbell::sys {

/// What the last system call of this thread failed with.
inline std::error_code last_error() noexcept { return {errno, std::system_category()}; }

/// Makes a system call again for as long as a signal interrupts it.
template <class F>
auto retry(F call) noexcept {
  for (;;)
    if (const auto n = call(); n >= 0 || errno != EINTR) return n;
}

/// Whether the kernel has no room for a call just now, and may have it a moment later.
inline bool lacks_memory(int error) noexcept { return error == ENOMEM || error == ENOBUFS; }

/// To be called before such a call is made again.
inline void wait_for_memory() noexcept {
  const timespec pause{0, 1'000'000};
  ::nanosleep(&pause, nullptr);
}

/// As retry(), for what somebody else sleeps on: while the kernel lacks memory, too, a millisecond
/// apart. Gives up after a tenth of a second.
template <class F>
auto insist(F call) noexcept {
  constexpr int attempts = 100;
  for (int i = 1;; ++i) {
    const auto n = retry(call);
    if (n >= 0 || !lacks_memory(errno) || i == attempts) return n;
    wait_for_memory();
  }
}

}  // namespace ringbell::sys
