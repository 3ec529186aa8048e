// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace ringbell::sys {

class handle;

using native_handle = int;  // a file descriptor
inline constexpr native_handle invalid_handle = -1;

using user_id = std::uint64_t;

// Both sides of an eventfd share its O_NONBLOCK, so either can make the other's next read or write
// of it block.
inline constexpr bool event_is_safe_between_users = false;

// What was sent to a peer is under way by itself: its handle may be closed at once.
inline constexpr bool sent_handles_travel = true;

// What control sockets consist of: a descriptor.
using listening_end = handle;

}  // namespace ringbell::sys
