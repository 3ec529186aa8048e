// SPDX-License-Identifier: BSL-1.0
#pragma once

// What the blocks of the pages may take for granted, because their readers do: blocks explains.

#include <ringbell/ringbell.hpp>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

/// Runs a function in another process for as long as it lives.
class child {
public:
  explicit child(void (*function)()) : process_(::fork()) {
    if (process_ < 0) std::abort();
    if (process_ > 0) return;
    function();
    ::_exit(0);
  }
  ~child() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;

private:
  pid_t process_;
};
