// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/service_path.hpp>

#include <ringbell/errors.hpp>

#include "sys/posix/environment.hpp"
#include "sys/posix/syscall.hpp"
#include "sys/posix/unix_address.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

namespace ringbell::sys {

namespace {

constexpr std::size_t max_name = 64;
constexpr std::string_view lock_suffix = ".lock";

bool is_path(std::string_view name) noexcept { return name.find('/') != name.npos; }

// std::isalnum is not used because its letters depend on the locale, and both sides must agree.
bool allowed(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool valid_name(std::string_view name) noexcept {
  // The lock file of `echo` is `echo.lock`, so no service can have that name.
  return !name.empty() && name.size() <= max_name && name.front() != '.' &&
         !name.ends_with(lock_suffix) && std::all_of(name.begin(), name.end(), allowed);
}

// The absolute path in an environment variable, without slashes at its end. Empty when there is
// none, or when the variable must not be used.
std::optional<std::string_view> absolute_path_in(const char* variable) noexcept {
  const char* const value = trusted_variable(variable);
  if (!value || *value != '/') return std::nullopt;
  const std::string_view path = value;
  return path.substr(0, path.find_last_not_of('/') + 1);
}

constexpr const char* runtime_variable = "XDG_RUNTIME_DIR";

std::string service_folder() {
  if (const auto runtime = absolute_path_in(runtime_variable))
    return std::string(*runtime) + "/ringbell";
  const uid_t user = ::geteuid();
  if (user == 0) return root_service_folder();
  return std::string(absolute_path_in("TMPDIR").value_or("/tmp")) + "/ringbell-" +
         std::to_string(user);
}

// -- whether a folder is safe --

bool is_this_user(uid_t user) noexcept { return user == current_user(); }

// An id may stand for several users. Then a chmod to the same mode tells whether the owner is this
// user, because only the owner may set a mode. A link has no mode.
bool is_ours(const std::string& path, const struct stat& found) noexcept {
  if (!is_this_user(found.st_uid) || names_one_user(found.st_uid))
    return is_this_user(found.st_uid);
  return !S_ISLNK(found.st_mode) && ::chmod(path.c_str(), found.st_mode & 07777) == 0;
}

std::string octal(mode_t mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", static_cast<unsigned>(mode & 07777));
  return text;
}

std::string whose(const struct stat& found) {
  return "belongs to user " + std::to_string(found.st_uid);
}
std::string whose_and_mode(const struct stat& found) {
  return whose(found) + " and has mode " + octal(found.st_mode);
}
std::string this_user_or_root() {
  return current_user() == 0 ? "root" : "user " + text_of(current_user()) + " or root";
}

// What is wrong with a place: an error, and its description. Descriptions are made only for faults.
struct fault {
  fault() noexcept = default;
  fault(std::error_code e, std::string w) : error(e), words(std::move(w)) {}
  std::error_code error;
  std::string words;
};

fault unsafe(const std::string& path, const std::string& what) {
  return {errc::unsafe_directory, path + ' ' + what};
}
fault cannot_look(const std::string& path, std::error_code error) {
  return {error, path + " cannot be looked at"};
}

// The folder around must belong to this user or to root, and no other user may replace an entry of
// it. A link counts as the folder to which it leads, unless another user can change where it leads.
fault fault_around(const std::string& parent, struct stat& found) {
  struct stat named{};
  if (::lstat(parent.c_str(), &named) != 0 || ::stat(parent.c_str(), &found) != 0) {
    const std::error_code error = last_error();
    if (error != std::errc::no_such_file_or_directory) return cannot_look(parent, error);
    return {error, parent + " does not exist: create it for user " + text_of(current_user()) +
                       " with mode 0700, or choose another folder of that user's"};
  }
  const auto trusted = [&](const struct stat& s) { return is_ours(parent, s) || s.st_uid == 0; };
  if (!S_ISDIR(found.st_mode)) return unsafe(parent, "is no folder, and " + whose(found));
  if (!trusted(named))
    return unsafe(parent, whose_and_mode(named) + ": expected " + this_user_or_root());
  if (!trusted(found))
    return unsafe(parent, "leads to a folder that " + whose_and_mode(found) + ": expected " +
                              this_user_or_root());
  if ((found.st_mode & 022) != 0 && (found.st_mode & S_ISVTX) == 0)
    return unsafe(parent,
                  whose_and_mode(found) +
                      ": others may rename what is in it (expected mode 0700, or a sticky folder)");
  return {};
}

// Checks the folder whether it existed before or not: in a temporary directory another user could
// have been faster. Once it is known to be ours, no other user can replace it.
fault fault_of(const std::string& folder, const std::string& parent, const struct stat& around) {
  struct stat found{};
  if (::lstat(folder.c_str(), &found) != 0) {
    const std::error_code error = last_error();
    if (error == std::errc::permission_denied)
      return unsafe(parent, whose_and_mode(around) + ": user " + text_of(current_user()) +
                                " may not enter it");
    if (error != std::errc::no_such_file_or_directory) return cannot_look(folder, error);
    return {error, folder + " does not exist; " + parent + ' ' + whose_and_mode(around)};
  }
  if (S_ISLNK(found.st_mode)) return unsafe(folder, "is a link, and " + whose(found));
  if (!S_ISDIR(found.st_mode)) return unsafe(folder, "is no folder, and " + whose(found));
  if (!is_ours(folder, found) || (found.st_mode & 077) != 0)
    return unsafe(folder, whose_and_mode(found) + ": expected user " + text_of(current_user()) +
                              " and mode 0700");
  return {};
}

std::string parent_of(const std::string& folder) {
  return folder.substr(0, std::max<std::size_t>(1, folder.rfind('/')));
}

fault fault_of_place(const std::string& folder) {
  const std::string parent = parent_of(folder);
  struct stat around{};
  fault wrong = fault_around(parent, around);
  return wrong.error ? wrong : fault_of(folder, parent, around);
}

std::string why_there() {
  const std::string variable = std::string("$") + runtime_variable;
  if (!environment_counts())
    return variable +
           " does not count in a program with set-user-id, set-group-id or file capabilities";
  if (absolute_path_in(runtime_variable)) return "from " + variable;
  const char* const value = trusted_variable(runtime_variable);
  return variable + (value && *value ? " is '" + std::string(value) +
                                           "', which is no absolute path, so it does not count"
                                     : " is not set");
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
  const std::string parent = parent_of(folder);
  struct stat around{};
  if (const fault wrong = fault_around(parent, around); wrong.error) return wrong.error;
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return last_error();
  return fault_of(folder, parent, around).error;
}

std::error_code check_service_folder(std::string_view name) {
  if (is_path(name)) return {};
  if (!valid_name(name)) return errc::bad_name;
  const std::error_code error = fault_of_place(service_folder()).error;
  return error == std::errc::no_such_file_or_directory ? make_error_code(errc::no_server) : error;
}

std::error_code check_server(std::string_view name, const peer_identity& server) {
  const bool expected =
      is_path(name) || is_this_user(static_cast<uid_t>(server.user)) || is_superuser(server.user);
  return expected ? std::error_code() : make_error_code(errc::unsafe_directory);
}

std::string describe_service_folder() {
  const std::string folder = service_folder();
  const fault wrong = fault_of_place(folder);
  return folder + " (" + why_there() + (wrong.error ? "; " + wrong.words : "") + ')';
}

std::string describe_service(std::string_view name) {
  std::string quoted = '\'' + std::string(name) + '\'';
  if (!valid_name(name)) return quoted;
  const std::size_t length = service_folder().size() + 1 + name.size();
  const bool fits = length <= max_socket_path;
  return quoted + " in " + describe_service_folder() +
         (fits ? ""
               : ": that path has " + std::to_string(length) + " bytes, and a socket's at most " +
                     std::to_string(max_socket_path));
}

}  // namespace ringbell::sys
