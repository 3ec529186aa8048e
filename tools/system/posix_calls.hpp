// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <span>

/// What Linux and the BSDs have under different names: calls_linux.cpp, calls_bsd.cpp.
namespace ringbell::tool {

/// As send(2); raises no signal.
long send_quietly(int socket, std::span<const std::byte> bytes, int flags = 0) noexcept;
/// The type of Unix socket that keeps messages apart, or else the one that at least tells of the
/// end.
int message_socket_type() noexcept;

}  // namespace ringbell::tool
