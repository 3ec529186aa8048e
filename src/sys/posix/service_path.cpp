// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/service_path.hpp>

#include "sys/posix/environment.hpp"
#include "sys/posix/syscall.hpp"
#include "sys/posix/unix_address.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace ringbell::sys {

namespace {

constexpr std::size_t max_name = 64;
constexpr std::string_view lock_suffix = ".lock";

bool is_path(std::string_view name) noexcept { return name.find('/') != name.npos; }

// Not std::isalnum: what is a letter there depends on the locale, and both sides must agree.
bool allowed(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool valid_name(std::string_view name) noexcept {
  // The lock of `echo` is `echo.lock`, so no service can be called that.
  return !name.empty() && name.size() <= max_name && name.front() != '.' && !name.ends_with(lock_suffix) &&
         std::all_of(name.begin(), name.end(), allowed);
}

// An environment variable that holds an absolute path; empty when there is none. The user of a set-user-id program must not choose
// where its sockets are.
std::string_view absolute_path_in(const char* variable) noexcept {
  const char* const value = trusted_variable(variable);
  return value && *value == '/' ? value : std::string_view();
}

std::string service_folder() {
  if (const auto runtime = absolute_path_in("XDG_RUNTIME_DIR"); !runtime.empty()) return std::string(runtime) + "/ringbell";
  const uid_t user = ::geteuid();
  if (user == 0) return root_service_folder();
  const auto temporary = absolute_path_in("TMPDIR");
  return std::string(temporary.empty() ? "/tmp" : temporary) + "/ringbell-" + std::to_string(user);
}

}  // namespace

result<std::string> service_path(std::string_view name) {
  if (!is_path(name) && !valid_name(name)) return errc::bad_name;
  std::string path = is_path(name) ? std::string(name) : service_folder() + '/' + std::string(name);
  if (!unix_address(path)) return errc::bad_name;
  return path;
}

std::error_code prepare_service_folder(std::string_view name) {
  if (is_path(name)) return {};
  if (!valid_name(name)) return errc::bad_name;

  const std::string folder = service_folder();
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return last_error();
  // Whether it was there or not: in a temporary directory everybody could have been faster. Once it is seen to be ours, nobody else
  // can put another in its place.
  struct stat found{};
  if (::lstat(folder.c_str(), &found) != 0) return last_error();
  const bool ours = S_ISDIR(found.st_mode) && found.st_uid == ::geteuid() && (found.st_mode & 077) == 0;
  return ours ? std::error_code() : make_error_code(errc::unsafe_directory);
}

}  // namespace ringbell::sys
