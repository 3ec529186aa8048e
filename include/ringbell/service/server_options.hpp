// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/listener_options.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>

namespace ringbell {

class server_observer;

/// Limits and policy of a `server`. What is over a limit is refused by an error that names the
/// limit.
struct server_options {
  server_options() noexcept {
    // A byte on the control socket, where there is that: one descriptor for each client, so that
    // ten thousand of them need no more than that.
    listening.bells = sys::frugal_bells();
    listening.max_message = std::uint64_t{16} << 20;
  }
  /// Ring sizes (`errc::refused_ring_size`), the longest message that is taken
  /// (`errc::message_too_large`, at the client), clients in all and of one user
  /// (`errc::refused_too_many`, `errc::refused_too_many_of_user`), the authorizer
  /// (`errc::refused_unauthorized`), how long a handshake may take.
  listener_options listening;
  /// Requests of one client that may be under way (`errc::refused_in_flight`).
  std::size_t max_in_flight = 1024;
  /// Bytes that are kept for one client in all: its requests under way with their metadata, parts
  /// that no handler has read, replies and parts of replies that the client has not. A call counts
  /// 2 KiB beside its bytes, a part 320. What would be beyond it fails with `errc::refused_bytes`:
  /// the request, the call whose part it is, the reply, the handler's write. Requests also wait: as
  /// long as more than a quarter of it waits to be sent to a client, nothing more is taken from it,
  /// so a client that reads its replies seldom sees the error. A message longer than this is not
  /// taken (`errc::message_too_large`); one that is arriving in fragments comes on top. A reply
  /// that is alone may exceed it. Not counted: the rings, and what handlers keep for themselves.
  std::size_t max_buffered_bytes = std::size_t{64} << 20;
  /// A client that has no request under way, and has made none for this long, is disconnected
  /// (`errc::dropped_idle` at its next call, unless it may reconnect), within a quarter of that
  /// time; a client that does not take the goodbye is hung up on as much later. Zero or less:
  /// never. A matter of house-keeping; that a client is alive, the kernel says.
  time_limit idle_timeout = std::chrono::seconds(30);
  /// Hears what happens; must outlive the server. Null: nobody.
  server_observer* observer = nullptr;
};

}  // namespace ringbell
