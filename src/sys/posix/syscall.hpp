// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <time.h>
#include <cerrno>
#include <system_error>

namespace ringbell::sys {

/// The error of the last failed system call of this thread.
inline std::error_code last_error() noexcept { return {errno, std::system_category()}; }

/// Repeats a system call as long as a signal interrupts it.
template <class F>
auto retry(F call) noexcept {
  for (;;)
    if (const auto n = call(); n >= 0 || errno != EINTR) return n;
}

/// Whether the kernel lacks memory for a call now, but may have it a moment later.
inline bool lacks_memory(int error) noexcept { return error == ENOMEM || error == ENOBUFS; }

/// To be called before such a call is repeated.
inline void wait_for_memory() noexcept {
  const timespec pause{0, 1'000'000};
  ::nanosleep(&pause, nullptr);
}

/// As retry(), for calls that wake another thread or process. It also repeats the call while the
/// kernel lacks memory, at intervals of a millisecond, and gives up after a tenth of a second.
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
