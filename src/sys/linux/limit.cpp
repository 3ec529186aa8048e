// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/limit.hpp>

#include "sys/posix/limit.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace ringbell::sys {

namespace {

// The beginning of a file of /proc or /sys. No more than this is needed.
std::string contents_of(const char* path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "re"), &std::fclose);
  std::string text(4096, '\0');
  text.resize(file ? std::fread(text.data(), 1, text.size(), file.get()) : 0);
  return text;
}

// The number at the beginning of a file. Empty when there is no number (`max`, or no file) or when
// the number stands for no limit.
std::optional<std::uint64_t> number_in(const std::string& path) {
  constexpr std::uint64_t no_limit = std::uint64_t{1} << 60;
  const std::string text = contents_of(path.c_str());
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  const std::uint64_t value = std::strtoull(text.c_str(), nullptr, 10);
  return value < no_limit ? std::optional(value) : std::nullopt;
}

// The smallest limit of a group and of the groups around it. In a container the path may be one
// outside of the container; then only the root of the mounted hierarchy is found.
std::optional<std::uint64_t> smallest(const std::string& root, std::string group,
                                      const char* file) {
  std::optional<std::uint64_t> least;
  for (;;) {
    if (const auto here = number_in(root + group + '/' + file))
      least = std::min(least.value_or(*here), *here);
    if (group.empty()) return least;
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

}  // namespace

std::optional<std::uint64_t> control_group_memory() {
  // The file has one line for each hierarchy, NUMBER:CONTROLLERS:PATH; the number is 0 for version
  // 2.
  const std::string all = contents_of("/proc/self/cgroup");
  std::string_view rest = all;
  std::optional<std::uint64_t> least;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t path = line.find(":/");
    if (path == line.npos) continue;
    const std::string group(line.substr(path + 1));
    std::optional<std::uint64_t> found;
    if (line.starts_with("0::"))
      found = smallest("/sys/fs/cgroup", group, "memory.max");
    else if (line.substr(0, path).ends_with(":memory"))
      found = smallest("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    if (found) least = std::min(least.value_or(*found), *found);
  }
  return least;
}

std::string other_memory_limits() {
  std::string text;
  if (const auto bytes = control_group_memory())
    text = "the control group allows " + std::to_string(*bytes) + " bytes, ";
  if (const auto maps = number_in("/proc/sys/vm/max_map_count"))
    text += "vm.max_map_count allows " + std::to_string(*maps) + " mappings";
  return text;
}

}  // namespace ringbell::sys
