// SPDX-License-Identifier: BSL-1.0
#include "system/services.hpp"

#include "common/system_facts.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/service_path.hpp>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace ringbell::tool {

std::string service_folder() {
  const std::string any = sys::service_path("x").value();
  return any.substr(0, any.rfind('/'));
}

namespace {

std::string target_of(const std::string& link) {
  std::error_code error;
  return std::filesystem::read_symlink(link, error).string();
}

/// Whether /proc goes by the numbers that this process knows: it may have been mounted in another
/// pid namespace.
bool proc_is_ours() {
  static const bool ours = target_of("/proc/self") == std::to_string(sys::current_process());
  return ours;
}

std::string in_proc(std::uint64_t process, const char* name) {
  return "/proc/" + std::to_string(process) + name;
}

}  // namespace

std::string command_of(std::uint64_t process) {
  return proc_is_ours() ? first_line(in_proc(process, "/comm").c_str()) : std::string();
}

process_numbers numbers_known_to(std::uint64_t process) {
  const std::string own = target_of("/proc/self/ns/pid");
  if (!proc_is_ours() || own.empty()) return process_numbers::unknown;
  // The kernel gives 0 for a process that this namespace does not see.
  if (process == 0) return process_numbers::others;
  const std::string its = target_of(in_proc(process, "/ns/pid"));
  if (its.empty()) return process_numbers::unknown;  // another user's, or it has ended
  return its == own ? process_numbers::same : process_numbers::others;
}

std::vector<running_service> running_services() {
  std::vector<running_service> all;
  const std::filesystem::path folder = service_folder();
  std::error_code error = sys::check_service_folder("x");
  if (error == errc::no_server) return all;
  if (error)
    throw std::system_error(error, "looking for services in " + sys::describe_service_folder());
  std::filesystem::directory_iterator entries(folder, error);
  if (error == std::errc::no_such_file_or_directory) return all;
  if (error) throw std::system_error(error, "looking for services in " + folder.string());
  for (const auto& entry : entries) {
    std::error_code ignored;
    if (!entry.is_socket(ignored) || ignored) continue;
    running_service s;
    s.name = entry.path().filename().string();
    s.path = entry.path().string();
    const sys::local_socket there = sys::local_socket::connect(s.path, error);
    // Who is too busy to take another one right now lives, too.
    if (!there && error != errc::would_block) continue;
    if (const auto owner = there.peer(); owner) s.owner = *owner;
    if (s.owner.process > 0) s.command = command_of(static_cast<std::uint64_t>(s.owner.process));
    all.push_back(std::move(s));
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return all;
}

}  // namespace ringbell::tool
