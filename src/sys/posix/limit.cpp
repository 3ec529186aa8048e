// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/limit.hpp>

#include "sys/posix/limit.hpp"

#include <sys/resource.h>

namespace ringbell::sys {

namespace {

// The value of one of this process's limits. Empty when there is no limit.
std::optional<rlim_t> limit_of(int resource) noexcept {
  rlimit found{};
  if (::getrlimit(static_cast<decltype(RLIMIT_NOFILE)>(resource), &found) != 0 ||
      found.rlim_cur == RLIM_INFINITY)
    return std::nullopt;
  return found.rlim_cur;
}

std::string one(int resource, const char* flag, const char* what) {
  const auto value = limit_of(resource);
  return value ? std::string("ulimit ") + flag + " allows " + std::to_string(*value) + ' ' + what
               : std::string();
}

void add(std::string& text, const std::string& more) {
  if (!more.empty()) text += (text.empty() ? "" : ", ") + more;
}

std::string of_memory() {
  std::string text = one(static_cast<int>(RLIMIT_AS), "-v", "bytes of address space");
  add(text, one(static_cast<int>(RLIMIT_MEMLOCK), "-l", "bytes of locked memory"));
  add(text, other_memory_limits());
  return text;
}

std::string limits_behind(const std::error_code& error) {
  if (error == std::errc::too_many_files_open)
    return one(static_cast<int>(RLIMIT_NOFILE), "-n", "open files");
  if (error == std::errc::too_many_files_open_in_system)
    return "the system's limit of open files, for all processes together";
  if (error == std::errc::file_too_large)
    return one(static_cast<int>(RLIMIT_FSIZE), "-f", "bytes in a file or in shared memory");
  if (error == std::errc::not_enough_memory) return of_memory();
  return {};
}

}  // namespace

std::string limit_behind(const std::error_code& error) {
  const std::string text = limits_behind(error);
  return text.empty() ? text : " (" + text + ')';
}

std::string limit_of_threads() {
  std::string text =
      one(static_cast<int>(RLIMIT_NPROC), "-u", "processes and threads of this user");
  add(text, "the control group's pids.max may allow less");
  return " (" + text + ')';
}

bool fits_file_limit(std::size_t bytes) noexcept {
  const auto most = limit_of(static_cast<int>(RLIMIT_FSIZE));
  return !most || bytes <= *most;
}

}  // namespace ringbell::sys
