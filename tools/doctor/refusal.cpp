// SPDX-License-Identifier: BSL-1.0
#include "doctor/refusal.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace ringbell::tool {

namespace {

bool is_older(const std::string& kernel, kernel_version than) noexcept {
  unsigned major = 0, minor = 0;
  // A kernel that says something else is not known to be old.
  if (std::sscanf(kernel.c_str(), "%u.%u", &major, &minor) != 2) return false;
  return major != than.major ? major < than.major : minor < than.minor;
}

bool is_no_permission(int error) noexcept { return error == EPERM || error == EACCES; }

}  // namespace

std::string why_refused(int error, kernel_version since, const call_rules& rules) {
  std::string text = std::strerror(error);
  if (error != ENOSYS && !is_no_permission(error)) return text;
  if (error == ENOSYS && is_older(rules.kernel, since))
    return text + ": it needs Linux " + std::to_string(since.major) + '.' +
           std::to_string(since.minor) + " or later, and this is " + rules.kernel;
  if (rules.filtered)
    return text +
           ": a system call filter (seccomp) refuses it, as the default profiles of containers do";
  return text + (error == ENOSYS ? ": the kernel was built without it, or a sandbox hides it"
                                 : ": a sandbox or a security module forbids it");
}

std::string why_io_uring_is_refused(int error, const call_rules& rules) {
  constexpr kernel_version first_with_io_uring{5, 1};
  const std::string& disabled = rules.io_uring_disabled;
  // Whoever may use it despite the sysctl gets another error, or none.
  if (is_no_permission(error) && (disabled == "1" || disabled == "2"))
    return std::string(std::strerror(error)) + ": the sysctl kernel.io_uring_disabled is " +
           disabled + (disabled == "1" ? " (only a privileged process may use it)" : "");
  return why_refused(error, first_with_io_uring, rules);
}

}  // namespace ringbell::tool
