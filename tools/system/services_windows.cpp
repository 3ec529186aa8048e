// SPDX-License-Identifier: BSL-1.0
#include "system/services.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/service_path.hpp>

#include <windows.h>

#include <algorithm>
#include <system_error>

namespace ringbell::tool {

// Pipes live in no folder; those of a user's services have this in front of their names.
std::string service_folder() {
  const std::string any = sys::service_path("x").value();
  return any.substr(0, any.size() - 1) + '*';
}

std::string command_of(std::uint64_t process) {
  const sys::handle opened(
      ::OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, static_cast<DWORD>(process)));
  char path[MAX_PATH];
  DWORD size = MAX_PATH;
  if (!opened || !::QueryFullProcessImageNameA(opened.get(), 0, path, &size)) return {};
  const std::string text(path, size);
  return text.substr(text.rfind('\\') + 1);
}

process_numbers numbers_known_to(std::uint64_t) { return process_numbers::same; }

std::vector<running_service> running_services() {
  constexpr std::string_view pipes = R"(\\.\pipe\)";
  std::vector<running_service> all;
  std::string prefix = service_folder();
  prefix.pop_back();
  WIN32_FIND_DATAA found{};
  const HANDLE search = ::FindFirstFileA(R"(\\.\pipe\*)", &found);
  if (search == INVALID_HANDLE_VALUE) {
    const DWORD error = ::GetLastError();
    if (error == ERROR_FILE_NOT_FOUND) return all;
    throw std::system_error(
        static_cast<int>(error), std::system_category(),
        "the names of pipes cannot be listed here (Wine does not do it), so give the service's name");
  }
  do {
    running_service s;
    s.path = std::string(pipes) + found.cFileName;
    if (!s.path.starts_with(prefix)) continue;
    s.name = s.path.substr(prefix.size());
    std::error_code error;
    const sys::local_socket there = sys::local_socket::connect(s.path, error);
    // Who is too busy to take another one right now lives, too.
    if (!there && error != errc::would_block) continue;
    if (there)
      if (const auto owner = there.peer(); owner) s.owner = *owner;
    if (s.owner.process > 0) s.command = command_of(static_cast<std::uint64_t>(s.owner.process));
    all.push_back(std::move(s));
  } while (::FindNextFileA(search, &found));
  ::FindClose(search);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return all;
}

}  // namespace ringbell::tool
