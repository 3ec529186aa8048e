// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/handshake.hpp>

/// Frames of a handshake as honest peers send them.
namespace ringbell::test::handshake_frames {

using namespace ringbell::handshake;
using sys::bell_bit;
using sys::bell_kind;
using sys::bell_set;

inline constexpr bell_set eventfd = bell_bit(bell_kind::eventfd);
inline constexpr bell_set socket_byte = bell_bit(bell_kind::socket);
inline constexpr bell_set futex = bell_bit(bell_kind::futex);
inline constexpr bell_set all_bells = eventfd | socket_byte | futex;

inline hello some_hello() {
  hello h;
  h.can_wait_on = all_bells;
  h.can_ring = all_bells;
  h.ring_bytes = 64 << 10;
  h.wanted_ring_bytes = 128 << 10;
  h.max_message = 1 << 20;
  return h;
}

inline server_terms some_terms() {
  server_terms terms;
  terms.can_wait_on = all_bells;
  terms.can_ring = all_bells;
  return terms;
}

inline welcome some_welcome() {
  welcome w;
  w.wakes_client = bell_kind::futex;
  w.wakes_server = bell_kind::eventfd;
  w.ring_bytes = 8192;
  w.max_message = 0x0102030405060708;
  return w;
}

}  // namespace ringbell::test::handshake_frames
