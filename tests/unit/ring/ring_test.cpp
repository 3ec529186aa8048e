// SPDX-License-Identifier: BSL-1.0
#include <ringbell/ring/reader.hpp>
#include <ringbell/ring/writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "support/one_way.hpp"

TEST_SUITE("ring") {

using namespace ringbell;
using namespace one_way_ring;

// -- honest use --

TEST_CASE("records of every length around the alignment and the limits arrive unchanged") {
  one_way ring;
  std::vector<std::size_t> lengths;
  for (std::size_t n = 0; n <= 200; ++n) lengths.push_back(n);
  for (std::size_t n = ring.writer.max_record() - 20; n <= ring.writer.max_record(); ++n)
    lengths.push_back(n);
  for (const std::size_t length : lengths) {
    CAPTURE(length);
    REQUIRE(ring.send(length) == errc{});
    ring.expect(length);
    ring.reader.publish();
  }
}

TEST_CASE("the longest record is three eighths of the ring with its header") {
  CHECK(one_way(4096).writer.max_record() == 1528);
  CHECK(one_way(65536).writer.max_record() == 24568);
}

TEST_CASE("the longest record fits an empty ring at every offset") {
  for (std::uint64_t offset = 0; offset < ring_size; offset += 8) {
    CAPTURE(offset);
    one_way ring;
    ring.move_to(offset);
    REQUIRE(ring.send(ring.writer.max_record()) == errc{});
    ring.expect(ring.writer.max_record());
  }
}

TEST_CASE(
    "a record that does not fit before the ring's end is preceded by a pad, at every distance from the end") {
  for (std::uint64_t to_end = 8; to_end <= 256; to_end += 8) {
    for (const std::size_t length : {97, 100, 248, 249, 300}) {
      CAPTURE(to_end);
      CAPTURE(length);
      one_way ring;
      ring.move_to(ring_size - to_end);
      const ring::position before = ring.writer.tail();
      REQUIRE(ring.send(length) == errc{});
      const bool padded = ring::record_bytes(length) > to_end;
      REQUIRE(ring.writer.tail() - before == ring::record_bytes(length) + (padded ? to_end : 0));
      ring.expect(length);
      REQUIRE(ring.reader.read() == ring.writer.tail());
      REQUIRE(ring.reader.released() == ring.writer.tail());
      REQUIRE(ring.look() == errc::would_block);
    }
  }
}

TEST_CASE("the bytes of a pad are given back with the record before it when that is on lease") {
  one_way ring;
  ring.move_to(ring_size - 256);
  REQUIRE(ring.send(100) == errc{});
  REQUIRE(ring.send(300) == errc{});
  ring::record first, second;
  REQUIRE(ring.reader.peek(first) == errc{});
  const ring::position held = ring.reader.read();
  ring.reader.advance(first);
  REQUIRE(ring.reader.peek(second) == errc{});
  CHECK(second.length == 300);
  CHECK(ring.reader.released() == held);
}

TEST_CASE("the bytes of a pad are given back at once when nothing is on lease") {
  one_way ring;
  ring.move_to(ring_size - 256);
  REQUIRE(ring.send(300) == errc{});
  CHECK(ring.look() == errc{});
  CHECK(ring.reader.released() == ring_size);
}

TEST_CASE("random traffic with random lag arrives complete and in order") {
  one_way ring;
  std::mt19937_64 random(1);
  std::vector<std::size_t> sent;
  std::size_t next = 0;
  std::size_t full = 0;
  for (int step = 0; step < 200000; ++step) {
    if (random() % 2 != 0) {
      const std::size_t length =
          random() % (random() % 8 == 0 ? ring.writer.max_record() + 1 : 200);
      const errc e = ring.put(length);
      if (e == errc{})
        sent.push_back(length);
      else
        ++full;
      if (e == errc::would_block || random() % 3 == 0) ring.writer.publish();
    } else {
      if (ring.look() == errc{}) ring.expect(sent.at(next++));
      if (random() % 4 == 0) ring.reader.publish();
    }
  }
  ring.writer.publish();
  while (next < sent.size()) ring.expect(sent.at(next++));
  CHECK(ring.look() == errc::would_block);
  CHECK(full > 100);
}

TEST_CASE("a full ring refuses, and takes exactly what was released") {
  one_way ring;
  std::size_t records = 0;
  while (ring.send(120) == errc{}) ++records;
  CHECK(records == ring_size / 128);
  CHECK(ring.send(0) == errc::would_block);
  ring.expect(120);
  CHECK(ring.send(120) == errc::would_block);  // released, not published
  ring.reader.publish();
  CHECK(ring.writer.has_space(120) == errc{});
  CHECK(ring.send(120) == errc{});
  CHECK(ring.send(0) == errc::would_block);
}

TEST_CASE("space exists exactly when the head is beyond the index to park at") {
  std::mt19937_64 random(2);
  for (int round = 0; round < 2000; ++round) {
    one_way ring;
    std::vector<std::size_t> sent;
    std::size_t next = 0;
    for (int i = 0; i < 200; ++i) {
      const std::size_t length = random() % 400;
      if (ring.send(length) == errc{})
        sent.push_back(length);
      else
        ring.expect(sent.at(next++)), ring.reader.publish();
    }
    const std::size_t wanted = random() % (ring.writer.max_record() + 1);
    if (ring.writer.has_space(wanted) == errc{}) continue;
    const ring::position index = ring.writer.space_wake_index(wanted);
    while (next < sent.size()) {
      ring.expect(sent.at(next++));
      ring.reader.publish();
      const bool beyond = ring.reader.published() > index && index < ring::never / 2;
      REQUIRE((ring.writer.has_space(wanted) == errc{}) == beyond);
    }
    REQUIRE(ring.writer.has_space(wanted) == errc{});
  }
}

TEST_CASE("nothing is visible before it is published, and several commits need one publication") {
  one_way ring;
  for (std::size_t n = 0; n < 10; ++n) REQUIRE(ring.put(n) == errc{});
  CHECK(ring.writer.published() == 0);
  CHECK(ring.look() == errc::would_block);
  ring.writer.publish();
  for (std::size_t n = 0; n < 10; ++n) ring.expect(n);
  CHECK(ring.look() == errc::would_block);
}

TEST_CASE("a claim committed shorter takes only the space that it used") {
  one_way ring;
  std::byte* payload = nullptr;
  REQUIRE(ring.writer.claim(1000, payload) == errc{});
  CHECK(ring.writer.claimed());
  ring.fill_and_commit(payload, 10);
  CHECK(!ring.writer.claimed());
  CHECK(ring.writer.tail() == 24);
  ring.writer.publish();
  ring.expect(10);
}

TEST_CASE("a padded claim committed shorter keeps its pad") {
  one_way ring;
  ring.move_to(ring_size - 64);
  std::byte* payload = nullptr;
  REQUIRE(ring.writer.claim(200, payload) == errc{});
  ring.fill_and_commit(payload, 0);
  ring.writer.publish();
  ring.expect(0);
  CHECK(ring.reader.read() == ring_size + 8);
}

TEST_CASE("an express claim committed shorter stays express") {
  one_way ring;
  std::byte* payload = nullptr;
  REQUIRE(ring.writer.claim(ring::max_express, payload) == errc{});
  CHECK(ring.in_express(payload));
  ring.fill_and_commit(payload, 3);
  ring.writer.publish();
  ring.expect(3);
}

TEST_CASE("an abandoned claim leaves nothing behind") {
  for (const std::size_t length : {50, 500}) {
    one_way ring;
    ring.move_to(ring_size - 64);
    const ring::position before = ring.writer.tail();
    std::byte* payload = nullptr;
    REQUIRE(ring.writer.claim(length, payload) == errc{});
    std::memset(payload, 0xff, length);
    ring.writer.abandon();
    CHECK(!ring.writer.claimed());
    ring.writer.publish();
    CHECK(ring.writer.tail() == before);
    CHECK(ring.look() == errc::would_block);
    REQUIRE(ring.send(7) == errc{});
    ring.expect(7);
  }
}

TEST_CASE("the head is due for publication once a quarter of the ring was released") {
  one_way ring;
  std::size_t released = 0;
  while (released < ring_size / 4) {
    CHECK(!ring.reader.publish_due());
    REQUIRE(ring.send(120) == errc{});
    ring.expect(120);
    released += 128;
    CHECK(ring.reader.dirty());
  }
  CHECK(ring.reader.publish_due());
  CHECK(ring.receiver->rx_head.load() == 0);
  ring.reader.publish();
  CHECK(ring.receiver->rx_head.load() == ring_size / 4);
  CHECK(!ring.reader.dirty());
}

TEST_CASE("a fragment needs no pad, unless the ring's end is less than four headers away") {
  for (const std::uint64_t capacity : {4096, 65536}) {
    one_way ring(capacity);
    for (int i = 0; i < 3000; ++i) {
      const std::uint64_t to_end = capacity - (ring.writer.tail() & (capacity - 1));
      const std::uint64_t remaining = static_cast<std::uint64_t>(i) * 37 % capacity + 1;
      const std::size_t length = ring.writer.fragment_length(remaining);
      REQUIRE(length >=
              std::min<std::uint64_t>(
                  remaining, 3 * ring::header_bytes));  // the first one has 8 bytes of its own
      REQUIRE(length <= remaining);
      REQUIRE(length <= capacity / 4 - ring::header_bytes);
      if (to_end >= 4 * ring::header_bytes) REQUIRE(ring::record_bytes(length) <= to_end);
      const ring::position before = ring.writer.tail();
      REQUIRE(ring.send(length) == errc{});
      if (to_end >= 4 * ring::header_bytes)
        REQUIRE(ring.writer.tail() - before == ring::record_bytes(length));
      ring.expect(length);
      ring.reader.publish();
    }
  }
}

// -- the express slot --

TEST_CASE(
    "a small record goes express exactly when the peer is known to have consumed everything") {
  one_way ring;
  std::byte* payload = nullptr;
  std::mt19937_64 random(3);
  std::vector<std::size_t> sent;
  std::size_t next = 0;
  int express = 0, ordinary = 0;
  for (int i = 0; i < 50000; ++i) {
    if (random() % 2 != 0) {
      const std::size_t length = random() % 130;
      const bool drained = ring.writer.tail() == ring.writer.published() &&
                           ring.reader.published() == ring.writer.tail();
      if (ring.writer.claim(length, payload) != errc{}) {
        ring.writer.publish();
        continue;
      }
      REQUIRE(ring.in_express(payload) == (drained && length <= ring::max_express));
      ++(ring.in_express(payload) ? express : ordinary);
      ring.fill_and_commit(payload, length);
      sent.push_back(length);
      if (random() % 2 != 0) ring.writer.publish();
    } else {
      while (ring.look() == errc{}) ring.expect(sent.at(next++));
      if (random() % 2 != 0) ring.reader.publish();
    }
  }
  CHECK(express > 1000);
  CHECK(ordinary > 1000);
}

TEST_CASE("an express record may lie across the ring's end, without a pad") {
  one_way ring;
  ring.move_to(ring_size - 8);
  const ring::position before = ring.writer.tail();
  REQUIRE(ring.send(ring::max_express) == errc{});
  CHECK(ring.writer.tail() == before + ring::record_bytes(ring::max_express));
  ring.expect(ring::max_express);
}

TEST_CASE("the express slot is not reused before the peer's head has passed it") {
  one_way ring;
  std::byte* payload = nullptr;
  REQUIRE(ring.send(20) == errc{});
  ring.expect(20);  // consumed, but the peer has not said so
  REQUIRE(ring.writer.claim(20, payload) == errc{});
  CHECK(!ring.in_express(payload));
  ring.writer.abandon();
  ring.reader.publish();
  REQUIRE(ring.writer.claim(20, payload) == errc{});
  CHECK(ring.in_express(payload));
}

TEST_CASE("an empty express slot is not taken for the first record") {
  one_way ring;
  REQUIRE(ring.send(ring::max_express + 1) == errc{});
  ring.expect(ring::max_express + 1);
}

TEST_CASE("an express record that was looked at twice is the same") {
  one_way ring;
  REQUIRE(ring.send(20) == errc{});
  ring::record first, second;
  REQUIRE(ring.reader.peek(first) == errc{});
  REQUIRE(ring.reader.peek(second) == errc{});
  CHECK(first.payload == second.payload);
  CHECK(first.end == second.end);
}

// -- closing --

TEST_CASE("a reader sees the end of the stream after the last record") {
  one_way ring;
  REQUIRE(ring.put(1) == errc{});
  REQUIRE(ring.put(200) == errc{});
  ring.writer.close();
  CHECK(ring.writer.closed());
  ring.expect(1);
  ring.expect(200);
  CHECK(ring.look() == errc::end_of_stream);
  CHECK(ring.look() == errc::end_of_stream);
}

TEST_CASE("the end of the stream follows what a reader had already seen") {
  one_way ring;
  CHECK(ring.look() == errc::would_block);
  ring.writer.close();
  CHECK(ring.look() == errc::end_of_stream);
}

TEST_CASE("a writer that needs the head of a closed reader gets peer_closed") {
  one_way ring;
  while (ring.send(120) == errc{}) continue;
  ring.reader.close();
  CHECK(ring.reader.closed());
  CHECK(ring.send(120) == errc::peer_closed);
  CHECK(ring.writer.has_space(120) == errc::peer_closed);
}

TEST_CASE("a closed reader stays closed when it publishes again") {
  one_way ring;
  REQUIRE(ring.send(200) == errc{});
  ring.reader.close();
  ring.expect(200);
  ring.reader.publish();
  CHECK(ring.receiver->rx_head.load() == (ring::record_bytes(200) | ring::closed_bit));
}

}  // TEST_SUITE("ring")
