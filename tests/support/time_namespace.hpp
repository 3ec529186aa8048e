// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <ringbell/sys/handle.hpp>

#include <string_view>

#include "support/child_process.hpp"

namespace ringbell::test {

/// Runs `f` in a process whose monotonic clock is ahead by a day. Its value; 77 where the system
/// does not allow that.
template <class F>
int run_a_day_ahead(F f) {
  return run_in_child([&] {
    if (::unshare(CLONE_NEWTIME) != 0) return 77;
    const sys::handle offsets(::open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC));
    constexpr std::string_view ahead = "monotonic 86400 0\n";
    if (!offsets || ::write(offsets.get(), ahead.data(), ahead.size()) < 0) return 77;
    return run_in_child(f);  // the first one that is in it
  });
}

}  // namespace ringbell::test
