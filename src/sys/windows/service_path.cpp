// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/service_path.hpp>

#include "sys/windows/pipe_state.hpp"
#include "sys/windows/service_pipe.hpp"

#include <algorithm>

namespace ringbell::sys {

namespace {

constexpr std::size_t max_name = 64;
constexpr std::size_t max_path_length = 256;  // of a pipe's full name (CreateNamedPipe)
constexpr std::string_view pipes = "\\\\.\\pipe\\";
constexpr std::string_view services = "\\\\.\\pipe\\ringbell-";
constexpr std::string_view any_user = "\\\\.\\pipe\\ringbell-S-";
constexpr std::string_view lock_suffix = ".lock";

bool is_path(std::string_view name) noexcept { return name.starts_with(pipes); }

bool allowed(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// The same rules as on the other systems, even where Windows does not need them, so that a name
// that works on one system works on all.
bool valid_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= max_name && name.front() != '.' &&
         !name.ends_with(lock_suffix) && std::all_of(name.begin(), name.end(), allowed);
}

std::string folder_of(const user_id& user) { return std::string(services) + text_of(user) + '-'; }

}  // namespace

bool names_a_user(std::string_view path) noexcept { return path.starts_with(any_user); }
bool names_user(std::string_view path, const user_id& user) {
  return user != user_id() && path.starts_with(folder_of(user));
}

std::wstring pipe_path(std::string_view path) {
  // A further separator could lead out of the folder of pipes.
  if (!is_path(path) || path.find_first_of("\\/", pipes.size()) != path.npos) return {};
  std::wstring made = wide(path);
  if (made.size() <= pipes.size() || made.size() > max_path_length) made.clear();
  return made;
}

result<std::string> service_path(std::string_view name) {
  if (!is_path(name) && !valid_name(name)) return errc::bad_name;
  std::string path =
      is_path(name) ? std::string(name) : folder_of(current_user()) + std::string(name);
  if (pipe_path(path).empty()) return errc::bad_name;
  return path;
}

// Pipes are in no folder.
std::error_code prepare_service_folder(std::string_view name) {
  return is_path(name) || valid_name(name) ? std::error_code() : make_error_code(errc::bad_name);
}

std::error_code check_service_folder(std::string_view name) { return prepare_service_folder(name); }

// `local_socket::connect` has already checked the owner of the pipe.
std::error_code check_server(std::string_view, const peer_identity&) { return {}; }

std::string describe_service_folder() { return folder_of(current_user()) + '*'; }

std::string describe_service(std::string_view name) {
  const std::string quoted = '\'' + std::string(name) + '\'';
  return valid_name(name) ? quoted + " at " + folder_of(current_user()) + std::string(name)
                          : quoted;
}

}  // namespace ringbell::sys
