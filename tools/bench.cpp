// SPDX-License-Identifier: BSL-1.0
#include "exit_codes.hpp"
#include "options.hpp"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace ringbell::tool {

namespace {

constexpr const char* program = "ringbell-bench";

/// Where it may be, best first: beside this program, or where a build puts it. The last one is looked for on PATH.
std::vector<std::string> candidates() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {program};
  return {folder / program, folder.parent_path() / "bench" / "suite" / program, program};
}

/// Becomes the benchmark; returns only if that fails.
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

}  // namespace

void add_bench(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(app, "bench", "Measure ringbell beside hardware, kernel and peers (runs ringbell-bench)");
  // All that follows is the benchmark's to read, --help too.
  sub->set_help_flag();
  sub->prefix_command();
  sub->callback([&chosen, sub] { chosen = [arguments = sub->remaining()] { return run_bench(arguments); }; });
}

}  // namespace ringbell::tool
