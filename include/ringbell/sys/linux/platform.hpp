// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace ringbell::sys {

class handle;

/// A file descriptor; on Windows a HANDLE.
using native_handle = int;
inline constexpr native_handle invalid_handle = -1;

/// The number of a user; on Windows a security identifier.
using user_id = std::uint64_t;

// Both sides of an eventfd share its O_NONBLOCK, so each can make the other's next read or write
// block.
inline constexpr bool event_is_safe_between_users = false;

// Sent handles are in transit independently of the sender, which may close them at once.
inline constexpr bool sent_handles_travel = true;

// A listening control socket is one descriptor.
using listening_end = handle;

}  // namespace ringbell::sys
