// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/bell_kind.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace ringbell {

namespace detail {
/// Bells that a channel offers unless told otherwise, as far as the system has them. The futex bell
/// takes no descriptor but needs io_uring with futex operations on the waiting side.
inline constexpr sys::bell_set default_bells =
    sys::bell_bit(sys::bell_kind::eventfd) | sys::bell_bit(sys::bell_kind::socket);
}  // namespace detail

/// How to connect (see `connect`): `connect(lp, "prices", {.ring_bytes = 1 << 20, .timeout = 1s})`.
struct connect_options {
  /// Data bytes of this side's ring: a power of two from 4 KiB to 1 GiB, within what the server
  /// accepts.
  std::uint64_t ring_bytes = 64 << 10;
  /// What the server's ring should be; 0: as the server likes. A wish.
  std::uint64_t peer_ring_bytes = 0;
  /// The longest message that this side takes, in bytes. A peer that sends more has broken the
  /// protocol.
  std::uint64_t max_message = std::uint64_t{64} << 20;
  /// How long to go on trying while no server listens, and to wait for the greeting's answer. Zero
  /// or less: one attempt, and no waiting.
  time_limit timeout = std::chrono::seconds(5);
  /// The bells that this side may be woken by; those that its loop cannot wait on are left out. None:
  /// what suits: an eventfd or the socket for a channel, and for a client of a service the socket,
  /// which takes no descriptor more.
  std::optional<sys::bell_set> bells;
};

}  // namespace ringbell
