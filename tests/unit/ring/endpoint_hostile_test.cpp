// SPDX-License-Identifier: BSL-1.0
#include <ringbell/ring/endpoint.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>

#include "support/endpoint_steps.hpp"

TEST_SUITE("endpoint_hostile") {

using namespace ringbell;
using namespace endpoint_steps;

namespace {

// `b` is honest; the test writes what `a` would.
struct lied_to : endpoint_pair {
  using endpoint_pair::endpoint_pair;

  // Appends a record to a's ring without a's knowledge; wraps are the test's business.
  void add(std::uint64_t length, std::uint64_t flags = 0, std::uint64_t first_word = 0) {
    a_region.words[tail % a_region.bytes / 8] = flags << 32 | length;
    if (length >= 8) a_region.words[(tail + 8) % a_region.bytes / 8] = first_word;
    tail += ring::record_bytes(length);
  }
  void publish() { a_region.page->tx_tail.store(tail, std::memory_order_release); }
  errc look() {
    publish();
    return receive_any(b);
  }
  ring::position tail = 0;
};

constexpr std::uint64_t more = ring::record_header::more;
constexpr std::uint64_t abandon = ring::record_header::abandon;

}  // namespace

TEST_CASE("a message longer than max_receive gives bad_peer, whole or in fragments") {
  lied_to whole(4096, 4096, 100);
  whole.add(101);
  CHECK(whole.look() == errc::bad_peer);

  lied_to split(4096, 4096, 100);
  split.add(16, more, 101);
  CHECK(split.look() == errc::bad_peer);

  lied_to allowed(4096, 4096, 100);
  allowed.add(100);
  CHECK(allowed.look() == errc{});
}

TEST_CASE("a first fragment that cannot be one gives bad_peer") {
  struct {
    std::uint64_t length, flags, total;
  } const lies[] = {
      {0, more, 0},                        // no total at all
      {7, more, 0},                        // half a total
      {8, more, 0},                        // a message of fragments that has no bytes
      {16, more, 8},                       // complete, yet more is to come
      {24, more, 8},                       // more than complete
      {16, more, ~std::uint64_t{0}},       // longer than anything
      {16, more, std::uint64_t{1} << 32},  // longer than max_receive
      {16, more | abandon, 100},           // two things at once
      {0, more | abandon, 0},              // likewise
      {8, abandon, 0},                     // an abandonment with a payload
  };
  for (const auto& lie : lies) {
    CAPTURE(lie.length);
    CAPTURE(lie.total);
    lied_to pair;
    pair.add(lie.length, lie.flags, lie.total);
    CHECK(pair.look() == errc::bad_peer);
  }
}

TEST_CASE("the announced length of a message is not looked for behind the ring's end") {
  lied_to pair;
  pair.add(4080);
  REQUIRE(pair.look() == errc{});
  pair.add(0, more);
  REQUIRE(pair.tail == 4096);
  CHECK(pair.look() == errc::bad_peer);
}

TEST_CASE("a later fragment that does not add up gives bad_peer") {
  struct {
    std::uint64_t length, flags;
  } const lies[] = {
      {93, 0},       // one byte too many
      {1000, more},  // far too many
      {92, more},    // complete, yet more is to come
      {91, 0},       // the last one, yet not complete
      {0, 0},        // likewise
      {8, abandon},  // an abandonment with a payload
  };
  for (const auto& lie : lies) {
    CAPTURE(lie.length);
    lied_to pair;
    pair.add(16, more, 100);
    pair.add(lie.length, lie.flags);
    CHECK(pair.look() == errc::bad_peer);
  }
  lied_to honest;
  honest.add(16, more, 100);
  honest.add(92);
  CHECK(honest.look() == errc{});
}

TEST_CASE("a message may be abandoned by a record without payload, or none have been begun") {
  lied_to pair;
  pair.add(0, abandon);
  pair.add(16, more, 100);
  pair.add(0, abandon);
  pair.add(3);
  CHECK(pair.look() == errc{});
}

TEST_CASE("after bad_peer every call fails with bad_peer") {
  lied_to pair;
  pair.add(0, 8);
  REQUIRE(pair.look() == errc::bad_peer);
  CHECK(pair.b.failure() == errc::bad_peer);
  pair.a_region.words[0] = 0;  // the peer repents
  ring::message_view message;
  std::byte* payload = nullptr;
  CHECK(receive_any(pair.b) == errc::bad_peer);
  CHECK(pair.b.receive(message, 0) == errc::bad_peer);
  CHECK(pair.b.can_receive());
  CHECK(pair.b.can_send(1));
  CHECK(pair.b.claim(1, payload) == errc::bad_peer);
  CHECK(send_zeros(pair.b, 1) == errc::bad_peer);
}

TEST_CASE("a head that lies makes sending, and then receiving, fail with bad_peer") {
  lied_to pair;
  fill(pair.b, 120);
  pair.a_region.page->rx_head.store(8192);
  CHECK(pair.b.can_send(120));
  CHECK(pair.b.failure() == errc::bad_peer);
  CHECK(send_zeros(pair.b, 120) == errc::bad_peer);
  CHECK(receive_any(pair.b) == errc::bad_peer);
}

TEST_CASE("a peer that never ends its fragments cannot keep a receiver going") {
  lied_to pair(std::uint64_t{4} << 20, 4096);
  pair.add(16, more, 100);
  while (pair.tail < pair.a_region.bytes) pair.add(0, more);
  pair.publish();
  const ring::position before = pair.b.read_position();
  CHECK(!pair.b.can_receive());
  CHECK(pair.b.interrupted());
  CHECK(pair.b.read_position() - before < std::uint64_t{2} << 20);
  for (int i = 0; i < 4; ++i) CHECK(receive_any(pair.b) == errc::would_block);
  CHECK(pair.b.read_position() == pair.tail);
  CHECK(receive_any(pair.b) == errc::would_block);
  CHECK(!pair.b.interrupted());
}

TEST_CASE(
    "a peer that sends abandonments without end is interrupted, and forgotten when it has stopped") {
  lied_to pair(std::uint64_t{1} << 20, 4096);
  while (pair.tail < pair.a_region.bytes) pair.add(0, abandon);
  pair.publish();
  CHECK(!pair.b.can_receive());
  CHECK(pair.b.interrupted());
  for (int i = 0; i < 2; ++i) CHECK(!pair.b.can_receive());
  CHECK(!pair.b.interrupted());
}

TEST_CASE(
    "a lie about a message's length costs no more memory than the limit, and a broken one is forgotten") {
  lied_to pair(4096, 4096, std::size_t{16} << 20);
  for (int i = 0; i < 50; ++i) {
    pair.add(16, more, std::uint64_t{16} << 20);
    pair.add(0, abandon);
  }
  CHECK(pair.look() == errc::would_block);
  pair.add(5);
  CHECK(pair.look() == errc{});
}

}  // TEST_SUITE("endpoint_hostile")
