// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/quiet_thread.hpp>

#include <utility>

namespace ringbell::sys {

// There are no signals that a thread could be sent: the console's come in a thread that the system
// makes for them.
std::thread quiet_thread(std::function<void()> run) { return std::thread(std::move(run)); }

}  // namespace ringbell::sys
