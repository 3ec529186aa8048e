// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/connection.hpp>
#include <ringbell/channel/detail/handshake.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <system_error>

namespace ringbell::detail {

enum class handshake_side { client, server };

/// Ends a handshake: makes the parts of a connection of what the two sides have agreed on and of
/// what the peer has sent. The peer is not trusted: its handles are checked, and after that
/// `socket` accepts no more of them. The caller adds its own region, its own bell and the socket.
/// Errors: `errc::bad_peer` when the handles are not those that the peer's frame calls for; those
/// of `map_ring_region`.
std::error_code end_handshake(handshake_side here, const handshake::hello& asked,
                              const handshake::welcome& answer, sys::local_socket& socket,
                              sys::received_handles& from_peer, connection_parts& parts) noexcept;

}  // namespace ringbell::detail
