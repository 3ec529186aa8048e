// SPDX-License-Identifier: BSL-1.0
#include "doctor/container.hpp"

#include "common/system_facts.hpp"
#include "common/units.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace ringbell::tool {

namespace {

/// The text behind NAME and a colon in /proc/self/status, "" when it is not there.
std::string status_of_process(std::string_view name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name) && line.substr(name.size()).starts_with(":\t"))
      return line.substr(name.size() + 2);
  return {};
}

void append(std::string& list, const std::string& word) {
  list += (list.empty() ? "" : ", ") + word;
}

/// Who made the container: what the tools leave for programs to see.
std::string names_of_container() {
  std::string names;
  if (::access("/run/.containerenv", F_OK) == 0) append(names, "podman");
  if (::access("/.dockerenv", F_OK) == 0) append(names, "Docker");
  if (std::getenv("KUBERNETES_SERVICE_HOST")) append(names, "Kubernetes");
  if (const std::string by_systemd = first_line("/run/systemd/container"); !by_systemd.empty())
    append(names, by_systemd);
  return names;
}

/// The namespaces in which this process is not where the system began. The kernel gives the first
/// namespace of these kinds a number that is the same everywhere.
std::string own_namespaces() {
  struct kind {
    const char* name;
    const char* path;
    ino_t first;
  };
  constexpr kind kinds[] = {
      {"pid", "/proc/self/ns/pid", 0xeffffffc},       {"ipc", "/proc/self/ns/ipc", 0xefffffff},
      {"uts", "/proc/self/ns/uts", 0xeffffffe},       {"user", "/proc/self/ns/user", 0xeffffffd},
      {"cgroup", "/proc/self/ns/cgroup", 0xeffffffb}, {"time", "/proc/self/ns/time", 0xeffffffa}};
  std::string names;
  for (const kind& k : kinds) {
    struct stat found{};
    if (::stat(k.path, &found) == 0 && found.st_ino != k.first) append(names, k.name);
  }
  return names;
}

finding look_for_container() {
  const std::string names = names_of_container();
  const std::string namespaces = own_namespaces();
  return {"container", verdict::ok,
          (names.empty() ? "no sign of one" : "this looks like one (" + names + ')') +
              (namespaces.empty() ? "" : "; namespaces of its own: " + namespaces)};
}

finding look_at_filter() {
  return {"call filter", verdict::ok,
          is_filtered() ? "there is one (seccomp); the other lines say what it hides" : "none"};
}

/// How many users this user namespace has, and who this one is outside.
finding look_at_users() {
  constexpr std::uint64_t all_users = 0xffffffff;
  const std::uint64_t own = ::geteuid();
  std::ifstream map("/proc/self/uid_map");
  std::uint64_t inside = 0, outside = 0, count = 0, known = 0;
  std::string outer = "no number";
  while (map >> inside >> outside >> count) {
    known += count;
    if (own >= inside && own - inside < count)
      outer = "user " + std::to_string(outside + (own - inside));
  }
  if (known == 0 || known >= all_users)
    return {"users", verdict::ok, "this one is " + std::to_string(own) + "; none is hidden"};
  return {"users", verdict::ok,
          "this one is " + std::to_string(own) + " (outside of this user namespace " + outer +
              "); " + std::to_string(known) + (known == 1 ? " user is" : " users are") +
              " known here, and each other user is a stranger"};
}

finding look_at_shm() {
  constexpr const char* unused = "; not used, because rings are in memory files without a name";
  struct statvfs folder{};
  if (::statvfs("/dev/shm", &folder) != 0)
    return {"/dev/shm", verdict::ok, std::string("none") + unused};
  return {
      "/dev/shm", verdict::ok,
      format_bytes(static_cast<double>(folder.f_blocks) * static_cast<double>(folder.f_frsize)) +
          unused};
}

}  // namespace

bool is_filtered() {
  const std::string mode = status_of_process("Seccomp");
  return !mode.empty() && mode != "0";
}

findings look_at_container() {
  return {look_for_container(), look_at_filter(), look_at_users(), look_at_shm()};
}

}  // namespace ringbell::tool
