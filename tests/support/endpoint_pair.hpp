// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/ring/endpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

/// The region of one side: control page and data, each a block of its exact size, so that a
/// sanitizer sees what is read or written outside.
struct test_region {
  explicit test_region(std::uint64_t ring_bytes)
      : bytes(ring_bytes), words(new std::uint64_t[ring_bytes / 8]{}) {
    page->ring_bytes = bytes;
  }

  std::uint64_t bytes;
  std::unique_ptr<ringbell::ring::control_page> page =
      std::make_unique<ringbell::ring::control_page>();
  std::unique_ptr<std::uint64_t[]> words;

  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(words.get()); }
};

inline ringbell::ring::endpoint_memory memory_between(test_region& own,
                                                      test_region& peer) noexcept {
  ringbell::ring::endpoint_memory memory;
  memory.own = own.page.get();
  memory.own_data = own.data();
  memory.own_ring_bytes = own.bytes;
  memory.peer = peer.page.get();
  memory.peer_data = peer.data();
  memory.peer_ring_bytes = peer.bytes;
  return memory;
}

/// Two endpoints over plain memory.
struct endpoint_pair {
  explicit endpoint_pair(std::uint64_t a_ring = 4096, std::uint64_t b_ring = 4096,
                         std::size_t limit = std::size_t{16} << 20)
      : a_region(a_ring),
        b_region(b_ring),
        a(memory_between(a_region, b_region), limit, limit),
        b(memory_between(b_region, a_region), limit, limit) {}

  test_region a_region;
  test_region b_region;
  ringbell::ring::endpoint a;
  ringbell::ring::endpoint b;
};

/// A whole message by `try_send`.
inline ringbell::errc send_all(ringbell::ring::endpoint& from,
                               std::span<const std::byte> bytes) noexcept {
  return from.try_send({&bytes, 1}, bytes.size());
}
inline ringbell::errc send_zeros(ringbell::ring::endpoint& from, std::size_t size) {
  return send_all(from, std::vector<std::byte>(size));
}
