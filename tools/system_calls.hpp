// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

/// What the systems have under different names, or not at all: system_linux.cpp, system_bsd.cpp.
namespace ringbell::tool {

/// The processors that this process may be bound to; none where that cannot be done.
std::vector<int> usable_processors();
void bind_to_processor(int processor) noexcept;
/// A name for the core that a processor is a thread of; empty when it is not known.
std::string core_of(int processor);

/// Whatever ends the parent ends this process, from now on; where the system does not do that, nothing.
void end_with_parent() noexcept;
/// This thread's sleeps are to end on time, not gathered with others'.
void ask_for_exact_sleeps() noexcept;
void sleep_until_blocking(std::chrono::steady_clock::time_point due) noexcept;

/// As send(2); raises no signal.
long send_quietly(int socket, std::span<const std::byte> bytes, int flags = 0) noexcept;
/// The type of Unix socket that keeps messages apart, or else the one that at least tells of the end.
int message_socket_type() noexcept;

}  // namespace ringbell::tool
