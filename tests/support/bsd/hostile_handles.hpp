// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <vector>

#include "support/process.hpp"
#include "support/raw_peer.hpp"

/// Handles as a hostile peer may send them, where there are no seals. The peer has kept its
/// descriptor for writing.
namespace ringbell::test {

inline constexpr std::size_t region_bytes = ring::control_bytes + raw_client::ring_bytes;

/// A region as it should be, with a control page as `change` leaves it.
inline sys::handle sealed_page(const std::function<void(ring::control_page&)>& change) {
  std::error_code error;
  const sys::region own = detail::create_ring_region(raw_client::ring_bytes, error);
  REQUIRE_FALSE(error);
  change(*reinterpret_cast<ring::control_page*>(own.data()));
  return sys::handle(::fcntl(own.shared_handle(), F_DUPFD_CLOEXEC, 0));
}

/// Of the size of a region, but memory that the system gives no guarantees for: a file.
inline sys::handle weak_memory() {
  const temporary_folder folder;
  sys::handle file(::open((folder / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(::ftruncate(file.get(), static_cast<off_t>(region_bytes)) == 0);
  return file;
}

/// What can be sent, and is no memory.
inline sys::handle event() {
  int ends[2];
  REQUIRE(pipe_closed_on_exec(ends) == 0);
  ::close(ends[1]);
  return sys::handle(ends[0]);
}

/// The peer says nothing any more, but listens on. False where connections are closed as a whole
/// only.
inline bool says_no_more(raw_peer& p) { return ::shutdown(p.socket.native(), SHUT_WR) == 0; }

/// Nobody can keep handles out of a socket: a peer that sends some with a bell has ended the
/// channel.
inline bool keeps_handles_out() { return false; }

/// What may travel with any bytes.
inline std::vector<sys::native_handle> for_a_flood(sys::native_handle memory) {
  return {0, 1, 2, memory};
}

/// No bell here can be made to hold up whoever rings it.
inline void jam(const sys::event_bell&) {}

}  // namespace ringbell::test
