// SPDX-License-Identifier: BSL-1.0
#include <ringbell/ring/reader.hpp>
#include <ringbell/ring/writer.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>

#include "support/one_way.hpp"

TEST_SUITE("ring_hostile") {

using namespace ringbell;
using namespace one_way_ring;

namespace {

// The same, but the sender is a lie: what is in its page and ring is written by the test.
struct liar : one_way {
  void header(std::uint64_t offset, std::uint64_t length, std::uint64_t flags = 0) {
    data[offset / 8] = flags << 32 | length;
  }
  void express(ring::position at, std::uint64_t length, std::uint64_t flags = 0) {
    const std::uint64_t word = flags << 32 | length;
    std::memcpy(sender->express.data(), &word, sizeof word);
    sender->express_position.store(at);
  }
  void tail(ring::position t) { sender->tx_tail.store(t); }
  void head(ring::position h) { receiver->rx_head.store(h); }
};

// A ring in which the reader stands at `at`, after honest records up to there.
struct liar_at : liar {
  explicit liar_at(std::uint64_t at) { move_to(at); }
};

}  // namespace

// -- lies of the sender --

TEST_CASE("a tail further ahead than the ring is long gives bad_peer") {
  liar ring;
  for (const ring::position t :
       {ring_size + 8, 2 * ring_size, std::uint64_t{1} << 63, ~std::uint64_t{7}}) {
    ring.tail(t);
    CHECK(ring.look() == errc::bad_peer);
  }
}

TEST_CASE(
    "a tail beyond the published head plus the ring gives bad_peer, although more was released") {
  liar ring;
  REQUIRE(ring.send(992) == errc{});
  ring.expect(992);
  ring.tail(ring_size + 8);
  CHECK(ring.look() == errc::bad_peer);
  ring.reader.publish();
  ring.header(1000, 0);
  CHECK(ring.look() == errc{});
}

TEST_CASE("a tail that goes back behind what was read gives bad_peer") {
  for (const bool published : {false, true}) {
    liar_at ring(1024);
    if (!published) {
      REQUIRE(ring.send(100) == errc{});
      ring.expect(100);
    }
    ring.tail(ring.reader.read() - 8);
    CHECK(ring.look() == errc::bad_peer);
    ring.tail(0);
    CHECK(ring.look() == errc::bad_peer);
  }
}

TEST_CASE("a tail with unknown low bits gives bad_peer") {
  liar ring;
  for (const ring::position bits : {2, 3, 4, 5, 6, 7}) {
    ring.tail(64 + bits);
    CHECK(ring.look() == errc::bad_peer);
  }
  ring.tail(64);
  CHECK(ring.look() == errc{});
}

TEST_CASE("a record longer than what was published gives bad_peer") {
  liar ring;
  ring.tail(64);
  for (const std::uint64_t length : {57, 64, 4088, 4089}) {
    ring.header(0, length);
    CHECK(ring.look() == errc::bad_peer);
  }
  ring.header(0, 56);
  CHECK(ring.look() == errc{});
}

TEST_CASE("a record whose length is near the limit of its field gives bad_peer") {
  liar ring;
  ring.tail(ring_size);
  for (const std::uint64_t length :
       {0x7fffffffu, 0xfffffff0u, 0xfffffff8u, 0xfffffff9u, 0xffffffffu}) {
    ring.header(0, length);
    CHECK(ring.look() == errc::bad_peer);
  }
}

TEST_CASE("a record across the ring's end gives bad_peer") {
  liar_at ring(ring_size - 64);
  ring.tail(ring_size + 64);
  ring.header(ring_size - 64, 57);
  CHECK(ring.look() == errc::bad_peer);
  ring.header(ring_size - 64, 56);
  CHECK(ring.look() == errc{});
}

TEST_CASE("a pad that does not end with the ring gives bad_peer") {
  liar_at ring(ring_size - 64);
  ring.tail(ring_size + 64);
  for (const std::uint64_t length : {0, 40, 48, 57, 64, 4088}) {
    ring.header(ring_size - 64, length, ring::record_header::pad);
    CHECK(ring.look() == errc::bad_peer);
  }
  ring.header(ring_size - 64, 56, ring::record_header::pad);
  ring.header(0, 3);
  CHECK(ring.look() == errc{});
}

TEST_CASE("a pad that is not all published gives bad_peer") {
  liar_at ring(ring_size - 64);
  ring.tail(ring_size - 8);
  ring.header(ring_size - 64, 56, ring::record_header::pad);
  CHECK(ring.look() == errc::bad_peer);
}

TEST_CASE("a pad as long as the ring gives bad_peer") {
  liar ring;
  ring.tail(ring_size);
  ring.header(0, ring_size - ring::header_bytes, ring::record_header::pad);
  CHECK(ring.look() == errc::bad_peer);
}

TEST_CASE("a pad with a further flag gives bad_peer") {
  for (const std::uint32_t flag : {ring::record_header::more, ring::record_header::abandon}) {
    liar_at ring(ring_size - 64);
    ring.tail(ring_size + 64);
    ring.header(ring_size - 64, 56, ring::record_header::pad | flag);
    CHECK(ring.look() == errc::bad_peer);
  }
}

TEST_CASE("an unknown flag gives bad_peer") {
  for (std::uint64_t bit = 3; bit < 32; ++bit) {
    CAPTURE(bit);
    liar ring;
    ring.tail(64);
    ring.header(0, 8, std::uint64_t{1} << bit);
    CHECK(ring.look() == errc::bad_peer);
    ring.express(0, 8, std::uint64_t{1} << bit);
    CHECK(ring.look() == errc::bad_peer);
  }
}

TEST_CASE("an express record longer than the slot gives bad_peer") {
  liar ring;
  ring.tail(1024);
  for (const std::uint64_t length : {97u, 104u, 1000u, 0xfffffff8u, 0xffffffffu}) {
    ring.express(0, length);
    CHECK(ring.look() == errc::bad_peer);
  }
  ring.express(0, 96);
  CHECK(ring.look() == errc{});
}

TEST_CASE("an express record longer than what was published gives bad_peer") {
  liar ring;
  ring.tail(64);
  ring.express(0, 57);
  CHECK(ring.look() == errc::bad_peer);
  ring.express(0, 56);
  CHECK(ring.look() == errc{});
}

TEST_CASE("a pad in the express slot gives bad_peer") {
  liar ring;
  ring.tail(64);
  ring.express(0, 56, ring::record_header::pad);
  CHECK(ring.look() == errc::bad_peer);
}

TEST_CASE(
    "the express slot is not looked at for a record that did not begin at the published head") {
  liar ring;
  ring.tail(64);
  ring.header(0, 24);
  ring.header(32, 11);
  ring.express(32, 22);
  ring::record r;
  REQUIRE(ring.reader.peek(r) == errc{});
  ring.reader.advance(r);
  REQUIRE(ring.reader.peek(r) == errc{});
  CHECK(r.length == 11);
}

// -- lies of the receiver --

TEST_CASE("a head beyond the published tail gives bad_peer") {
  for (const ring::position lie :
       {ring::position{8}, ring::position{4096}, ring::position{1} << 63}) {
    liar ring;
    while (ring.send(120) == errc{}) continue;
    ring.head(ring.writer.published() + lie);
    CHECK(ring.send(120) == errc::bad_peer);
    CHECK(ring.writer.has_space(120) == errc::bad_peer);
  }
}

TEST_CASE("a head in records that were committed but not published gives bad_peer") {
  liar ring;
  while (ring.writer.tail() < 2048) REQUIRE(ring.send(120) == errc{});
  while (ring.put(120) == errc{}) continue;
  ring.head(2048 + 128);
  CHECK(ring.put(120) == errc::bad_peer);
  ring.head(2048);
  CHECK(ring.put(120) == errc{});
}

TEST_CASE("a head that goes back gives bad_peer") {
  liar_at ring(1024);
  while (ring.send(120) == errc{}) continue;
  const ring::position known = ring.writer.known_head();
  REQUIRE(known > 0);
  ring.head(known - 8);
  CHECK(ring.send(120) == errc::bad_peer);
  CHECK(ring.writer.known_head() == known);
}

TEST_CASE("a head with unknown low bits gives bad_peer") {
  for (const ring::position bits : {2, 4, 6}) {
    liar ring;
    while (ring.send(120) == errc{}) continue;
    ring.head(128 + bits);
    CHECK(ring.send(120) == errc::bad_peer);
  }
}

TEST_CASE("a head that lies does not make the express slot free") {
  liar ring;
  std::byte* payload = nullptr;
  REQUIRE(ring.send(20) == errc{});
  ring.head(ring.writer.tail() + 8);
  if (ring.writer.claim(20, payload) == errc{}) CHECK(!ring.in_express(payload));
}

}  // TEST_SUITE("ring_hostile")
