// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/statistics.hpp>

#include <cstddef>
#include <cstdint>

namespace ringbell {

/// What a server knows of one client, as of now. Also the rows that a server sends to `ringbell
/// top` (docs/protocol.md): hence words of 64 bits only.
struct client_statistics {
  std::uint64_t process = 0;
  std::uint64_t user = 0;          ///< `sys::number_of` it
  std::uint64_t connected_ns = 0;  ///< for how long it has been connected
  std::uint64_t requests = 0;      ///< that were begun
  std::uint64_t failed = 0;        ///< of these, answered by an error
  std::uint64_t refused = 0;       ///< that were not begun
  std::uint64_t in_flight = 0;     ///< under way
  std::uint64_t bytes_in_flight =
      0;  ///< that are kept for it, as `server_options::max_buffered_bytes` counts
  std::uint64_t depth_to_server =
      0;  ///< bytes in the client's ring that the server has not consumed
  std::uint64_t depth_to_client =
      0;  ///< bytes in the server's ring that the client has not consumed
  std::uint64_t ring_to_server = 0;  ///< the sizes of these rings
  std::uint64_t ring_to_client = 0;
  std::uint64_t asking = 0;    ///< 1 for the connection that asked for these statistics, else 0
  channel_statistics channel;  ///< of the server's side
};
static_assert(sizeof(client_statistics) == std::size_t{22} * 8);

}  // namespace ringbell
