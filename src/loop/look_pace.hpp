// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>

namespace ringbell::detail {

/// When poll() looks at a kernel that does not tell without a system call whether it has something
/// (epoll, kqueue).
///
/// While coroutines are ready on every turn, nothing but this looks at the kernel. A look costs
/// about half a microsecond, so one in 200 us takes less than 0.5 % of the thread, and 200 us are
/// few beside what waking a sleeper costs in practice (tens of us) and nothing beside the sockets
/// that are watched this way; channels that are hot are polled in memory. Reading the clock costs
/// 20-30 ns, as much as a turn: one read in 16 turns makes it 2 ns, and 16 turns are soon over.
class look_pace {
public:
  using clock = std::chrono::steady_clock;

  bool look_now() noexcept {
    if (at_once_) return true;
    if (++polls_ % 16 != 0) return false;
    return clock::now() - looked_ >= std::chrono::microseconds(200);
  }
  /// The kernel was asked. `more`: it may have more than it was asked for.
  void looked(bool more) noexcept {
    at_once_ = more;
    looked_ = clock::now();
  }
  /// There is something to ask the kernel for: the next poll() does.
  void hurry() noexcept { at_once_ = true; }

private:
  bool at_once_ = true;
  unsigned polls_ = 0;
  clock::time_point looked_{};
};

}  // namespace ringbell::detail
