// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/ring/reader.hpp>
#include <ringbell/ring/writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace one_way_ring {

using namespace ringbell;

inline constexpr std::uint64_t ring_size = ring::min_ring_bytes;

// Bytes that depend on where in the stream they are, so that a wrong place shows.
inline std::byte pattern_byte(ring::position at, std::size_t i) {
  return static_cast<std::byte>(at * 31 + i * 7 + 1);
}

/// One direction: the sender's page and ring, and the receiver's page. Each block has its exact
/// size, so that a sanitizer sees a read or write outside of it.
struct one_way {
  explicit one_way(std::uint64_t bytes = ring_size)
      : capacity(bytes), data(new std::uint64_t[bytes / 8]{}) {}

  std::uint64_t capacity;
  std::unique_ptr<ring::control_page> sender = std::make_unique<ring::control_page>();
  std::unique_ptr<ring::control_page> receiver = std::make_unique<ring::control_page>();
  std::unique_ptr<std::uint64_t[]> data;
  ring::writer writer{*sender, bytes(), capacity, *receiver};
  ring::reader reader{*receiver, *sender, bytes(), capacity};

  std::byte* bytes() { return reinterpret_cast<std::byte*>(data.get()); }
  bool in_express(const std::byte* payload) const {
    return payload == sender->express.data() + ring::header_bytes;
  }

  void fill_and_commit(std::byte* payload, std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) payload[i] = pattern_byte(length, i);
    writer.commit(length);
  }
  errc put(std::size_t length) {
    std::byte* payload = nullptr;
    if (const errc e = writer.claim(length, payload); e != errc{}) return e;
    fill_and_commit(payload, length);
    return errc{};
  }
  errc send(std::size_t length) {
    const errc e = put(length);
    if (e == errc{}) writer.publish();
    return e;
  }
  // Takes the next record, which must have this length and the bytes of `fill_and_commit`.
  void expect(std::size_t length) {
    ring::record r;
    REQUIRE(reader.peek(r) == errc{});
    REQUIRE(r.length == length);
    REQUIRE(r.flags == 0);
    bool same = true;
    for (std::size_t i = 0; i < length; ++i) same = same && r.payload[i] == pattern_byte(length, i);
    REQUIRE(same);
    reader.advance(r);
    reader.release(reader.read());
  }
  errc look() {
    ring::record r;
    return reader.peek(r);
  }
  // Sends and consumes until the tail is at `offset` of the ring and the sender knows that all was
  // consumed.
  void move_to(std::uint64_t offset) {
    while (((writer.tail() ^ offset) & (capacity - 1)) != 0) {
      const std::uint64_t ahead = (offset - writer.tail()) & (capacity - 1);
      const std::size_t length =
          static_cast<std::size_t>(std::min<std::uint64_t>(ahead, 96) - ring::header_bytes);
      REQUIRE(send(length) == errc{});
      expect(length);
      reader.publish();
    }
  }
};

}  // namespace one_way_ring
