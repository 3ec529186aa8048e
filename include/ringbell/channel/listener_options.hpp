// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/connect_options.hpp>
#include <ringbell/sys/bell_kind.hpp>
#include <ringbell/sys/peer_identity.hpp>
#include <ringbell/sys/platform.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace ringbell {

/// Options of `listener::bind`. All have defaults.
struct listener_options {
  listener_options() noexcept {}
  /// The smallest and the largest ring that a client may have, and the size of this side's ring for
  /// a client that does not ask for one, in bytes. Each is a power of two from 4 KiB to 1 GiB.
  std::uint64_t min_ring_bytes = 4096;
  std::uint64_t max_ring_bytes = std::uint64_t{64} << 20;
  std::uint64_t default_ring_bytes = 64 << 10;
  /// The longest message that this side receives, in bytes.
  std::uint64_t max_message = std::uint64_t{64} << 20;
  /// How many clients may be connected at the same time. The next one gets
  /// `errc::refused_too_many`.
  std::size_t max_clients = 65536;
  /// How many clients of one user (by user id) may be connected at the same time. The next one gets
  /// `errc::refused_too_many_of_user`.
  std::size_t max_clients_per_user = 65536;
  /// How many clients may wait until the program accepts them. More wait in the kernel's backlog.
  ///
  /// This is also the number of places for connections in their handshake: at least 5, and at most
  /// a quarter of the descriptors that this process may have when it begins to listen. A connection
  /// takes one place, and one more for each handle that it has sent. The connections of one user
  /// may take a quarter of the places. When they take more, the oldest connection of that user is
  /// closed; when all together take more than there are, the oldest of all. Its client sees a
  /// hang-up, after which `connect` tries again by itself.
  std::size_t max_half_open = 256;
  /// How long the handshake with a client may take.
  time_limit handshake_timeout = std::chrono::seconds(5);
  /// Whether other users can reach the socket at all (by its file's mode). `authorize` is still
  /// asked about them.
  bool for_all_users = false;
  /// Says whether a client may connect. It is asked before anything is received from the client.
  /// When it is empty, every client that can reach the socket may connect. A client that may not
  /// connect is told so at once, and takes neither a place nor a descriptor. The function is called
  /// on the loop's thread; if it throws, the answer is no.
  std::function<bool(const sys::peer_identity&)> authorize;
  /// The kinds of bell that may wake this side. Kinds that its loop cannot wait on are left out.
  sys::bell_set bells = detail::default_bells;
  /// A Unix stream socket that listens already, to use in place of one of the listener's own: as a
  /// service manager passes it, such as systemd. `name` is then empty, or the name (or path) that
  /// the socket is bound to. The listener makes no file and removes none, and `for_all_users` has
  /// no effect, because the mode of the file is the other program's. Clients that have connected
  /// and were not accepted wait for the next process that listens on the socket.
  /// Errors: of `bind`, `std::errc::invalid_argument` when it is no such socket, with the reason in
  /// the text; `errc::bad_name` when it is bound to another name; `errc::not_supported` on Windows.
  /// Lifetime: `bind` takes the handle, and closes it when it fails.
  sys::native_handle socket = sys::invalid_handle;
};

}  // namespace ringbell
