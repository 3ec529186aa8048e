// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace ringbell::tool {

namespace {

constexpr const char* program = "ringbell-bench";

/// Where it may be, best first: beside this program, or where a build puts it. The last one is
/// looked for on PATH.
std::vector<std::string> candidates() {
  std::error_code error;
  const std::filesystem::path folder =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {program};
  return {folder / program, folder.parent_path() / "bench" / program, program};
}

}  // namespace

int run_bench(const std::vector<std::string>& arguments) {
  std::string name = program;
  std::vector<std::string> copies = arguments;
  std::vector<char*> argv = {name.data()};
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  for (const std::string& candidate : candidates()) {
    ::execvp(candidate.c_str(), argv.data());
    if (errno != ENOENT) throw_errno(errno, "starting '" + candidate + "'");
  }
  complain(
      "there is no ringbell-bench beside this program, nor on PATH: in a checkout './dev bench' builds and runs it; Meson installs it unless -Dbench=disabled");
  return exit_failure;
}

}  // namespace ringbell::tool
