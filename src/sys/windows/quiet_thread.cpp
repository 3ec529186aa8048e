// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/quiet_thread.hpp>

#include <utility>

namespace ringbell::sys {

// No thread can be sent a signal: the signals of the console come in a thread that the system
// creates for them.
std::thread quiet_thread(std::function<void()> run) { return std::thread(std::move(run)); }

}  // namespace ringbell::sys
