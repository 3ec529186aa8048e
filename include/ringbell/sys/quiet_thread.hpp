// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <functional>
#include <thread>

namespace ringbell::sys {

/// Starts a thread that calls `run`, and is sent no signals: they are blocked in it from its first
/// instruction on, so that they go to the program's own threads. All but those that a thread raises
/// by a fault of its own (SIGSEGV, SIGBUS, SIGFPE and the like), which the program's handler may
/// want to report. (Windows has no signals to block.) An exception that leaves `run` calls
/// std::terminate. Throws as the constructor of `std::thread`.
/// Thread-safety: any thread; its own signals are as before afterwards.
std::thread quiet_thread(std::function<void()> run);

}  // namespace ringbell::sys
