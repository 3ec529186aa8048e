// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>

// Why Linux refuses a system call, in words. No I/O.
namespace ringbell::tool {

struct kernel_version {
  unsigned major;
  unsigned minor;
};

/// What decides which system calls a process may make.
struct call_rules {
  std::string kernel;             ///< such as "6.18.0"
  bool filtered = false;          ///< by seccomp, as containers and services of systemd are
  std::string io_uring_disabled;  ///< the sysctl of that name; "" where there is none
};

/// Gives the reason for which a call that is there from `since` on failed with the errno `error`.
std::string why_refused(int error, kernel_version since, const call_rules& rules);
/// The same for io_uring_setup, which a sysctl may forbid, too.
std::string why_io_uring_is_refused(int error, const call_rules& rules);

}  // namespace ringbell::tool
