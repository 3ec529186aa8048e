// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/connect_options.hpp>
#include <ringbell/sys/bell_kind.hpp>
#include <ringbell/sys/peer_identity.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace ringbell {

/// How to listen (see `listener`).
struct listener_options {
  listener_options() noexcept {}
  /// Sizes of the clients' rings that are accepted, and of the own ring of a client that has no
  /// wish. Powers of two from 4 KiB to 1 GiB.
  std::uint64_t min_ring_bytes = 4096;
  std::uint64_t max_ring_bytes = std::uint64_t{64} << 20;
  std::uint64_t default_ring_bytes = 64 << 10;
  /// The longest message that this side takes, in bytes.
  std::uint64_t max_message = std::uint64_t{64} << 20;
  /// How many clients may be connected at the same time; the next one gets
  /// `errc::refused_too_many`.
  std::size_t max_clients = 65536;
  /// How many clients of one user (by its id) may be connected at the same time; the next one gets
  /// `errc::refused_too_many_of_user`.
  std::size_t max_clients_per_user = 65536;
  /// How many clients may wait to be accepted by the program; more wait in the kernel's backlog.
  /// Also how many connections may be in their handshake (each counts once, and once more for each
  /// handle that it has sent): at least 5, and at most a quarter of the descriptors that this
  /// process may have when it begins to listen. One user has a quarter of these places. Over that
  /// the oldest connection gives way: its client sees a hang-up, after which `connect` tries again
  /// by itself.
  std::size_t max_half_open = 256;
  /// How long a client may take to say who it is and what it wants.
  time_limit handshake_timeout = std::chrono::seconds(5);
  /// Whether other users can reach the socket at all (its file's mode). They then have to pass the
  /// authorizer.
  bool for_all_users = false;
  /// Says whether this process may connect; asked before anything of the client is received. Empty:
  /// all whom the socket lets in. A client that may not is told at once, and takes neither a place
  /// nor a descriptor. Called on the loop's thread; an exception means no.
  std::function<bool(const sys::peer_identity&)> authorize;
  /// The bells that this side may be woken by; those that its loop cannot wait on are left out.
  sys::bell_set bells = detail::default_bells;
};

}  // namespace ringbell
