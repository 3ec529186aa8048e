// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/bell_kind.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace ringbell {

namespace detail {
/// The kinds of bell that a channel offers by default, as far as the system has them. The futex
/// bell is not among them: it takes no descriptor, but the waiting side needs io_uring with futex
/// operations.
inline constexpr sys::bell_set default_bells =
    sys::bell_bit(sys::bell_kind::eventfd) | sys::bell_bit(sys::bell_kind::socket);
}  // namespace detail

/// Options of `connect`. Example: `connect(lp, "prices", {.ring_bytes = 1 << 20, .timeout = 1s})`.
struct connect_options {
  /// Data bytes of this side's ring: a power of two from 4 KiB to 1 GiB, within the limits of the
  /// server.
  std::uint64_t ring_bytes = 64 << 10;
  /// The size that the server's ring should have, in bytes: a power of two, or 0 to let the server
  /// choose. The server may choose another size.
  std::uint64_t peer_ring_bytes = 0;
  /// The longest message that this side receives, in bytes. A peer that sends a longer one has
  /// broken the protocol.
  std::uint64_t max_message = std::uint64_t{64} << 20;
  /// How long to go on trying while no server listens, and to wait for the server's answer. Zero or
  /// less means one attempt, without waiting.
  time_limit timeout = std::chrono::seconds(5);
  /// The kinds of bell that may wake this side. Kinds that its loop cannot wait on are left out.
  /// When this is empty, a channel offers an eventfd and the socket, and a client of a service
  /// offers the socket only, which takes no further descriptor.
  std::optional<sys::bell_set> bells = {};
};

}  // namespace ringbell
