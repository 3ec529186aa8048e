// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/listener_options.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>

namespace ringbell {

class server_observer;

/// Limits and policy of a `server`. What exceeds a limit is refused with an error that names the
/// limit.
struct server_options {
  server_options() noexcept {
    // Bells are bytes on the control socket where the system has that. Each client then takes one
    // descriptor, so ten thousand clients take ten thousand.
    listening.bells = sys::frugal_bells();
    listening.max_message = std::uint64_t{16} << 20;
  }
  /// How to listen. Clients see these limits as errors: ring sizes (`errc::refused_ring_size`), the
  /// longest message that is received (`errc::message_too_large`), the number of clients in all and
  /// of one user (`errc::refused_too_many`, `errc::refused_too_many_of_user`), the authorizer
  /// (`errc::refused_unauthorized`). Also how long a handshake may take.
  listener_options listening;
  /// How many requests of one client may be under way (`errc::refused_in_flight`).
  std::size_t max_in_flight = 1024;
  /// How many bytes are kept for one client in all: its requests under way with their metadata,
  /// parts that no handler has read, and replies and parts of replies that the client has not
  /// received. A call counts 2 KiB beside its bytes, a part 320 bytes. The rings, and what handlers
  /// keep for themselves, do not count.
  ///
  /// What would exceed the limit fails with `errc::refused_bytes`: the request, the call whose part
  /// it is, the reply, or the handler's write. A client that reads its replies seldom sees that
  /// error, because requests also wait: while more than a quarter of the limit waits to be sent to
  /// a client, nothing more is received from it.
  ///
  /// A message that is longer than the limit is not received (`errc::message_too_large`). A message
  /// that is arriving in fragments is kept in addition to the limit. A reply may exceed the limit
  /// when nothing else is kept for the client.
  std::size_t max_buffered_bytes = std::size_t{64} << 20;
  /// A client that has no request under way, and has made none for this long, is disconnected. That
  /// happens within a quarter of this time afterwards. Its next call fails with
  /// `errc::dropped_idle`, unless it may reconnect. A client that does not read the goodbye is hung
  /// up on after as much time again. Zero or less means never. This only frees resources; whether a
  /// client is alive is known from the kernel.
  time_limit idle_timeout = std::chrono::seconds(30);
  /// The observer that is told what happens; null for none.
  /// Lifetime: it must outlive the server.
  server_observer* observer = nullptr;
};

}  // namespace ringbell
