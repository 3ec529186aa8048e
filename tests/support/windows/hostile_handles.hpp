// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <windows.h>

#include <cstddef>
#include <functional>
#include <vector>

#include "support/process.hpp"
#include "support/raw_peer.hpp"

/// Handles as a hostile peer may send them: sections and events, since `sys::local_socket`
/// duplicates nothing else.
namespace ringbell::test {

inline constexpr std::size_t region_bytes = ring::control_bytes + raw_client::ring_bytes;

/// A region as it should be, with a control page as `change` leaves it.
inline sys::handle sealed_page(const std::function<void(ring::control_page&)>& change) {
  std::error_code error;
  const sys::region own = detail::create_ring_region(raw_client::ring_bytes, error);
  REQUIRE_FALSE(error);
  change(*reinterpret_cast<ring::control_page*>(own.data()));
  HANDLE copy = nullptr;
  const HANDLE here = ::GetCurrentProcess();
  REQUIRE(
      ::DuplicateHandle(here, own.shared_handle(), here, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS));
  return sys::handle(copy);
}

/// Of the size of a region, but memory that the system gives no guarantees for: none of it is
/// there.
inline sys::handle weak_memory() {
  return sys::handle(::CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr,
                                          PAGE_READWRITE | SEC_RESERVE, 0,
                                          static_cast<DWORD>(region_bytes), nullptr));
}

/// What can be sent, and is no memory.
inline sys::handle event() { return sys::handle(::CreateEventW(nullptr, FALSE, FALSE, nullptr)); }

/// The peer says nothing any more, but listens on. False where connections are closed as a whole
/// only.
inline bool says_no_more(raw_peer&) { return false; }

/// Nothing travels with bells.
inline bool keeps_handles_out() { return true; }

/// What may travel with any bytes.
inline std::vector<sys::native_handle> for_a_flood(sys::native_handle) { return {}; }

/// No bell here can be made to hold up whoever rings it.
inline void jam(const sys::event_bell&) {}

}  // namespace ringbell::test
