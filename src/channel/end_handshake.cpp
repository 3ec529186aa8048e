// SPDX-License-Identifier: BSL-1.0
#include "channel/end_handshake.hpp"

namespace ringbell::detail {

std::error_code end_handshake(handshake_side here, const handshake::hello& asked,
                              const handshake::welcome& answer, sys::local_socket& socket,
                              sys::received_handles& from_peer, connection_parts& parts) noexcept {
  const bool client = here == handshake_side::client;
  const std::size_t expected =
      client ? handshake::expected_handles(answer) : handshake::expected_handles(asked);
  if (from_peer.count != expected) return errc::bad_peer;
  // The peer has sent everything that it may send.
  if (!socket.let_no_handles_in()) return errc::bad_peer;

  parts.wakes_this = client ? answer.wakes_client : answer.wakes_server;
  parts.wakes_peer = client ? answer.wakes_server : answer.wakes_client;
  parts.own_ring_bytes = client ? asked.ring_bytes : answer.ring_bytes;
  parts.peer_ring_bytes = client ? answer.ring_bytes : asked.ring_bytes;
  parts.max_receive = static_cast<std::size_t>(client ? asked.max_message : answer.max_message);
  parts.max_send = static_cast<std::size_t>(client ? answer.max_message : asked.max_message);

  if (parts.wakes_peer == sys::bell_kind::eventfd) {
    if (!sys::event_bell::is_event(from_peer.items[1].get())) return errc::bad_peer;
    parts.peer_bell = sys::event_bell(from_peer.items[1].trusted());
  }
  std::error_code error;
  parts.peer = map_ring_region(std::move(from_peer.items[0]), parts.peer_ring_bytes, error);
  return error;
}

}  // namespace ringbell::detail
