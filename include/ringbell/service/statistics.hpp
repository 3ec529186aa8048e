// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/statistics.hpp>

#include <cstddef>
#include <cstdint>

namespace ringbell {

/// What a server knows of one client at this moment. A server also sends these to `ringbell top` as
/// rows (docs/protocol.md), so all members have 64 bits.
struct client_statistics {
  std::uint64_t process = 0;       ///< its process id
  std::uint64_t user = 0;          ///< `sys::number_of` the user id
  std::uint64_t connected_ns = 0;  ///< for how long it has been connected, in nanoseconds
  std::uint64_t requests = 0;      ///< requests that were begun
  std::uint64_t failed = 0;        ///< begun requests that were answered with an error
  std::uint64_t refused = 0;       ///< requests that were not begun
  std::uint64_t in_flight = 0;     ///< requests that are under way
  /// Bytes that are kept for it, as `server_options::max_buffered_bytes` counts them.
  std::uint64_t bytes_in_flight = 0;
  std::uint64_t depth_to_server = 0;  ///< bytes in its ring that the server has not consumed
  std::uint64_t depth_to_client = 0;  ///< bytes in the server's ring that it has not consumed
  std::uint64_t ring_to_server = 0;   ///< the size of its ring, in bytes
  std::uint64_t ring_to_client = 0;   ///< the size of the server's ring, in bytes
  std::uint64_t asking = 0;    ///< 1 for the connection that asked for these statistics, else 0
  channel_statistics channel;  ///< the server's side of the channel
};
static_assert(sizeof(client_statistics) == std::size_t{22} * 8);

}  // namespace ringbell
