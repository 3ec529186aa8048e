// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace ringbell::tool {

/// `missing` makes ringbell unusable here; `limited` makes it slower, or smaller.
enum class verdict { ok, limited, missing };

struct finding {
  std::string what;
  verdict how;
  std::string detail;
};

using findings = std::vector<finding>;

/// Something to try that a system call filter may kill for, and what it means when it does.
struct trial {
  const char* what;
  verdict when_killed;
  std::function<finding()> look;
};

// What differs between the systems: linux.cpp, bsd.cpp, windows.cpp.

/// Which system this was built for, and what has been tried of that (the words of
/// docs/platforms.md).
std::string platform_word();
/// What the system's own mechanisms can do.
std::vector<trial> trials_of_system();
/// Whether the memory that a peer gets is safe from it.
finding look_at_memory();
findings look_at_limits();
/// Of them, those that Linux and the BSDs share: posix.cpp.
findings look_at_process_limits(const char* cost_of_channel);

}  // namespace ringbell::tool
