// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>

namespace ringbell::detail {

/// Decides when poll() looks at a kernel that cannot report without a system call that it has
/// something (epoll, kqueue).
///
/// While coroutines are ready on every turn, nothing but this looks at the kernel. A look costs
/// about half a microsecond, so one in 200 us takes less than 0.5 % of the thread. 200 us are not
/// much longer than waking a sleeper takes in practice (tens of us), and do not matter for the
/// sockets that are watched in this way; active channels are polled in memory. Reading the clock
/// costs 20-30 ns, as much as a turn. One read in 16 turns makes it 2 ns for each turn, and 16
/// turns take little time.
class look_pace {
public:
  using clock = std::chrono::steady_clock;

  bool look_now() noexcept {
    if (at_once_) return true;
    if (++polls_ % 16 != 0) return false;
    return clock::now() - looked_ >= std::chrono::microseconds(200);
  }
  /// To be called when the kernel was asked. With `more` it may have more than it was asked for.
  void looked(bool more) noexcept {
    at_once_ = more;
    looked_ = clock::now();
  }
  /// To be called when there is something to ask the kernel for: the next poll() looks.
  void hurry() noexcept { at_once_ = true; }

private:
  bool at_once_ = true;
  unsigned polls_ = 0;
  clock::time_point looked_{};
};

}  // namespace ringbell::detail
