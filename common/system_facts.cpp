// SPDX-License-Identifier: BSL-1.0
#include "common/system_facts.hpp"

#include <sys/utsname.h>

#include <fstream>

namespace ringbell::tool {

std::string kernel_release() {
  utsname name{};
  ::uname(&name);
  return std::string(name.sysname) + ' ' + name.release;
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  utsname name{};
  ::uname(&name);
  return name.machine;
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace ringbell::tool
