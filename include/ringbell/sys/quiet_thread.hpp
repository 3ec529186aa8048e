// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <functional>
#include <thread>

namespace ringbell::sys {

/// Starts a thread that calls `run` and receives no signals. They are blocked in it from its first
/// instruction on, so that they go to the program's own threads. This does not apply to the signals
/// that a thread raises by a fault of its own (SIGSEGV, SIGBUS, SIGFPE and the like), because the
/// program's handler may want to report them. (Windows has no signals to block.) An exception that
/// leaves `run` calls `std::terminate`.
/// Errors: throws what the constructor of `std::thread` throws.
/// Thread-safety: any thread; the caller's own signal mask is unchanged afterwards.
std::thread quiet_thread(std::function<void()> run);

}  // namespace ringbell::sys
