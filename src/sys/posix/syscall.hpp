// SPDX-License-Identifier: BSL-1.0
#pragma once

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

}  // namespace ringbell::sys
