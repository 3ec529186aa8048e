// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/service_process.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace ringbell::test {

/// Runs `program`, a copy of the tool that the other user can reach, as that user; what it says on
/// standard error goes to `err`. Gives its exit status.
inline int run_as(uid_t user, const std::string& program, std::vector<std::string> arguments,
                  int err) {
  arguments.insert(arguments.begin(), "ringbell");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  return run_in_child([&] {
    ::dup2(err, STDERR_FILENO);
    ::dup2(::open("/dev/null", O_RDWR), STDOUT_FILENO);
    if (::setgid(user) != 0 || ::setuid(user) != 0) return 98;
    ::execv(program.c_str(), argv.data());
    return 99;
  });
}

}  // namespace ringbell::test
