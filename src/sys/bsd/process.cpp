// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/local_socket.hpp>

#include <unistd.h>

namespace ringbell::sys {

// The C library of macOS keeps the process id, and drops it in a forked child.
std::uint64_t current_process() noexcept { return static_cast<std::uint64_t>(::getpid()); }

}  // namespace ringbell::sys
