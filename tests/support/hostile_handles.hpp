// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <vector>

#include "support/raw_peer.hpp"

/// Handles of every kind, as a hostile peer may send them.
namespace ringbell::test {

/// A memfd with these seals; all of it is a hole unless `allocate`.
inline sys::handle memory(std::size_t size, int seals, bool allocate = true) {
  sys::handle h(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::ftruncate(h.get(), static_cast<off_t>(size)) == 0);
  if (allocate) REQUIRE(::fallocate(h.get(), 0, 0, static_cast<off_t>(size)) == 0);
  if (seals != 0) REQUIRE(::fcntl(h.get(), F_ADD_SEALS, seals) == 0);
  return h;
}
inline constexpr int future_write = 0x10;
inline constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | future_write;
inline constexpr std::size_t region_bytes = control_bytes + raw_client::ring_bytes;

/// A region that is sealed as it should be, with a control page as `change` leaves it.
inline sys::handle sealed_page(const std::function<void(control_page&)>& change) {
  sys::handle h = memory(region_bytes, 0);
  void* const mapped = ::mmap(nullptr, region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, h.get(), 0);
  REQUIRE(mapped != MAP_FAILED);
  auto* const page = new (mapped) control_page;
  page->ring_bytes = raw_client::ring_bytes;
  change(*page);
  REQUIRE(::fcntl(h.get(), F_ADD_SEALS, all_seals) == 0);
  ::munmap(mapped, region_bytes);
  return h;
}

/// Of the size of a region, but memory that the system gives no guarantees for.
inline sys::handle weak_memory() { return memory(region_bytes, 0); }

/// What can be sent, and is no memory.
inline sys::handle event() { return sys::handle(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

/// The peer says nothing any more, but listens on. False where connections are closed as a whole only.
inline bool says_no_more(raw_peer& p) { return ::shutdown(p.socket.native(), SHUT_WR) == 0; }

/// What may travel with any bytes.
inline std::vector<sys::native_handle> for_a_flood(sys::native_handle memory) { return {0, 1, 2, memory}; }

/// Makes a bell such that whoever rings it once more waits: the counter filled to the brim, and made blocking.
inline void jam(const sys::event_bell& bell) {
  if (!bell) return;
  const std::uint64_t most = ~std::uint64_t{1};
  (void)::fcntl(bell.native(), F_SETFL, O_NONBLOCK);
  while (::write(bell.native(), &most, sizeof most) > 0) {}
  (void)::fcntl(bell.native(), F_SETFL, 0);
}

}  // namespace ringbell::test
