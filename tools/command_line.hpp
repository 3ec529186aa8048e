// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <functional>

namespace ringbell::tool {

/// What the command line asks for.
struct chosen_command {
  chosen_command() noexcept {}
  /// Runs the subcommand, and gives the exit code. Empty when there is nothing to run: help was
  /// printed, or a complaint.
  std::function<int()> action;
  int exit_code = 0;  ///< without an action
};

chosen_command parse_command_line(int argc, char** argv);

}  // namespace ringbell::tool
