// SPDX-License-Identifier: BSL-1.0
#include <ringbell/ring/endpoint.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "support/endpoint_steps.hpp"
#include "support/resources.hpp"

TEST_SUITE("endpoint") {

using namespace ringbell;
using namespace endpoint_steps;

// -- messages --

TEST_CASE("a message arrives, and nothing after it") {
  endpoint_pair pair;
  CHECK(receive_any(pair.b) == errc::would_block);
  REQUIRE(send_text(pair.a, "hello") == errc{});
  CHECK(receive_text(pair.b) == "hello");
  CHECK(receive_any(pair.b) == errc::would_block);
}

TEST_CASE("both directions are independent") {
  endpoint_pair pair;
  REQUIRE(send_text(pair.a, "to b") == errc{});
  REQUIRE(send_text(pair.b, "to a") == errc{});
  CHECK(receive_text(pair.a) == "to a");
  CHECK(receive_text(pair.b) == "to b");
}

TEST_CASE("messages of 0 bytes are messages") {
  endpoint_pair pair;
  for (int i = 0; i < 3; ++i) REQUIRE(pair.a.try_send({}, 0) == errc{});
  for (int i = 0; i < 3; ++i) CHECK(receive_text(pair.b).empty());
  CHECK(receive_any(pair.b) == errc::would_block);
}

TEST_CASE("the pieces of a message are joined in order, empty ones passed over") {
  endpoint_pair pair;
  const std::span<const std::byte> pieces[] = {
      as_span("one "), {}, as_span("two "), as_span("three"), {}};
  REQUIRE(pair.a.try_send(pieces, 13) == errc{});
  CHECK(receive_text(pair.b) == "one two three");
}

TEST_CASE("a claim is written in place and may be committed shorter") {
  endpoint_pair pair;
  std::byte* payload = nullptr;
  REQUIRE(pair.a.claim(500, payload) == errc{});
  CHECK(pair.a.claim(1, payload) == errc::busy);
  CHECK(send_zeros(pair.a, 1) == errc::busy);
  std::memcpy(payload, "abc", 3);
  pair.a.commit(3);
  CHECK(receive_text(pair.b) == "abc");
}

TEST_CASE("an abandoned claim sends nothing and frees the channel for others") {
  endpoint_pair pair;
  std::byte* payload = nullptr;
  REQUIRE(pair.a.claim(500, payload) == errc{});
  pair.a.abandon();
  CHECK(receive_any(pair.b) == errc::would_block);
  REQUIRE(send_text(pair.a, "next") == errc{});
  CHECK(receive_text(pair.b) == "next");
}

TEST_CASE("a claim that close_send has ended can be committed or abandoned in vain") {
  for (const bool commit : {true, false}) {
    endpoint_pair pair;
    std::byte* payload = nullptr;
    REQUIRE(pair.a.claim(500, payload) == errc{});
    pair.a.close_send();
    commit ? pair.a.commit(500) : pair.a.abandon();
    CHECK(receive_any(pair.b) == errc::end_of_stream);
  }
}

TEST_CASE("limits are checked before anything is written") {
  test_region mine(4096), theirs(4096);
  ring::endpoint side(memory_between(mine, theirs), 100, 100);
  std::byte* payload = nullptr;
  std::size_t sent = 0;
  CHECK(side.max_message() == 100);
  CHECK(side.max_claim() == 100);
  CHECK(side.claim(101, payload) == errc::message_too_large);
  CHECK(send_zeros(side, 101) == errc::message_too_large);
  const bytes long_one(101);
  const std::span<const std::byte> piece = long_one;
  CHECK(side.send_fragments({&piece, 1}, 101, sent) == errc::message_too_large);
  CHECK(send_zeros(side, 100) == errc{});

  endpoint_pair wide;
  CHECK(wide.a.max_claim() == 1528);
  CHECK(wide.a.claim(1529, payload) == errc::message_too_large);
}

TEST_CASE(
    "a sender of the longest record never waits for a receiver that has consumed everything without publishing it") {
  const std::size_t longest = endpoint_pair().a.max_claim();
  for (std::uint64_t offset = 0; offset < 4096; offset += 8) {
    for (std::uint64_t consumed = 0; consumed <= 4096; consumed += test::slow_here ? 360 : 40) {
      for (const std::uint64_t each : {std::uint64_t{40}, ring::record_bytes(longest)}) {
        endpoint_pair pair;
        bool good = true;
        const auto pass = [&](std::uint64_t bytes) {
          good = good && send_zeros(pair.a, bytes) == errc{} && receive_any(pair.b) == errc{};
        };
        // To the offset, with all of it published; from there on nothing is, but by the quarter.
        for (std::uint64_t left = offset; left != 0;) {
          const std::uint64_t step = std::min<std::uint64_t>(left, 1024);
          pass(step - ring::header_bytes);
          pair.b.publish();
          left -= step;
        }
        for (std::uint64_t left = consumed; left != 0;) {
          const std::uint64_t step = std::min(left, each);
          pass(step - ring::header_bytes);
          left -= step;
        }
        pass(longest);
        if (good) continue;
        CAPTURE(offset);
        CAPTURE(consumed);
        CAPTURE(each);
        FAIL("it waits");
      }
    }
  }
}

TEST_CASE("a message longer than the receiver has room for stays where it is") {
  endpoint_pair pair;
  ring::message_view none;
  CHECK(pair.b.receive(none, 4) == errc::would_block);
  REQUIRE(send_text(pair.a, "hello") == errc{});
  for (int i = 0; i < 3; ++i) {
    CHECK(pair.b.receive(none, 4) == errc::message_too_large);
    CHECK(none.data == nullptr);
    CHECK(pair.b.can_receive());
  }
  CHECK(receive_text(pair.b) == "hello");
  CHECK(!pair.b.can_receive());
}

TEST_CASE("counters tell what went over the channel") {
  endpoint_pair pair;
  REQUIRE(send_zeros(pair.a, 10) == errc{});
  REQUIRE(send_zeros(pair.a, 20) == errc{});
  REQUIRE(receive_any(pair.b) == errc{});
  CHECK(pair.a.counters().messages_sent.load() == 2);
  CHECK(pair.a.counters().bytes_sent.load() == 30);
  CHECK(pair.b.counters().messages_received.load() == 1);
  CHECK(pair.b.counters().bytes_received.load() == 10);
  fill(pair.a, 100);
  CHECK(pair.a.counters().ring_full_stalls.load() == 1);
}

// -- leases --

TEST_CASE("leases released in any order free the space up to the oldest one held") {
  std::vector<int> order = {0, 1, 2, 3};
  do {
    endpoint_pair pair;
    for (int i = 0; i < 4; ++i) REQUIRE(send_zeros(pair.a, 120) == errc{});
    std::vector<ring::position> held;
    std::vector<bool> out(4, true);
    for (int i = 0; i < 4; ++i) {
      ring::message_view m;
      REQUIRE(pair.b.receive(m) == errc{});
      held.push_back(m.begin);
    }
    for (const int which : order) {
      out[static_cast<std::size_t>(which)] = false;
      ring::position oldest = pair.b.read_position();
      for (std::size_t i = 4; i-- > 0;)
        if (out[i]) oldest = held[i];
      pair.b.release(oldest);
      pair.b.publish();
      REQUIRE(pair.b_region.page->rx_head.load() == oldest);
    }
    REQUIRE(pair.b_region.page->rx_head.load() == pair.a_region.page->tx_tail.load());
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("the bytes of a lease stay while the sender fills the ring") {
  endpoint_pair pair;
  const bytes kept = some_bytes(300);
  REQUIRE(send_all(pair.a, kept) == errc{});
  ring::message_view m;
  REQUIRE(pair.b.receive(m) == errc{});
  for (int round = 0; round < 20; ++round) {
    fill(pair.a, 50);
    while (true) {
      ring::message_view other;
      if (pair.b.receive(other) != errc{}) break;
      pair.b.release(m.begin);
    }
    pair.b.publish();
  }
  CHECK(std::memcmp(m.data, kept.data(), kept.size()) == 0);
}

TEST_CASE("fragments behind a lease are joined, and their space is kept until the lease ends") {
  endpoint_pair pair(65536, 65536);
  REQUIRE(send_text(pair.a, "held") == errc{});
  ring::message_view held;
  REQUIRE(pair.b.receive(held) == errc{});
  const bytes message = some_bytes(40000);
  bytes got;
  REQUIRE(pass_fragments(pair.a, pair.b, message, got) == errc{});
  CHECK(got == message);
  pair.b.publish();
  CHECK(pair.b_region.page->rx_head.load() == 0);
  pair.b.release(pair.b.read_position());
  CHECK(pair.b_region.page->rx_head.load() == pair.a_region.page->tx_tail.load());
}

// -- long messages --

TEST_CASE("a message longer than the ring goes in fragments and is joined") {
  for (const std::uint64_t ring : {4096, 65536}) {
    for (const std::size_t size :
         {2041u, 4096u, 5000u, 32761u, 65536u, 1u << 20, (8u << 20) + 3u}) {
      CAPTURE(ring);
      CAPTURE(size);
      endpoint_pair pair(ring, 4096);
      const bytes message = some_bytes(size);
      bytes got;
      REQUIRE(pass_fragments(pair.a, pair.b, message, got) == errc{});
      REQUIRE(got == message);
      REQUIRE(send_text(pair.a, "after") == errc{});
      REQUIRE(receive_text(pair.b) == "after");
    }
  }
}

TEST_CASE("a receiver frees the space of fragments while it looks, without parking") {
  endpoint_pair pair;
  const bytes message = some_bytes(100000);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  bytes got;
  errc e = errc::would_block;
  for (int turn = 0; turn < 1000 && e == errc::would_block; ++turn) {
    if (sent < message.size()) (void)pair.a.send_fragments({&piece, 1}, message.size(), sent);
    e = receive_bytes(pair.b, got);
  }
  CHECK(got == message);
}

TEST_CASE("a gathered message is cut into fragments anywhere") {
  endpoint_pair pair;
  const bytes message = some_bytes(30000);
  std::vector<std::span<const std::byte>> pieces;
  for (std::size_t at = 0, n = 0; at < message.size(); at += n) {
    n = std::min<std::size_t>((at * 7 + 13) % 1777 + 1, message.size() - at);
    pieces.push_back(std::span{message}.subspan(at, n));
    if (n % 3 == 0) pieces.emplace_back();
  }
  std::size_t sent = 0;
  bytes got;
  errc e = errc::would_block;
  for (int turn = 0; turn < 1000 && e == errc::would_block; ++turn) {
    if (sent < message.size()) (void)pair.a.send_fragments(pieces, message.size(), sent);
    e = receive_bytes(pair.b, got);
    (void)park(pair.b, true);
  }
  CHECK(got == message);
}

TEST_CASE("a short message given to send_fragments arrives as it is") {
  for (const std::size_t size : {0, 1, 8, 500, 1008, 1016, 1017, 2040}) {
    CAPTURE(size);
    endpoint_pair pair;
    const bytes message = some_bytes(size);
    bytes got;
    std::size_t sent = 0;
    const std::span<const std::byte> piece = message;
    REQUIRE(pair.a.send_fragments({&piece, 1}, size, sent) == errc{});
    CHECK(sent == size);
    REQUIRE(receive_bytes(pair.b, got) == errc{});
    CHECK(got == message);
  }
}

TEST_CASE("a sender of fragments stops after a slice, so that others get their turn") {
  endpoint_pair pair(std::uint64_t{8} << 20, 4096);
  const bytes message(6 << 20);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  CHECK(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  CHECK(sent < message.size());
  CHECK(pair.a.can_send(message.size() - sent));
}

TEST_CASE("abandoned fragments are forgotten by the peer") {
  endpoint_pair pair;
  const bytes message = some_bytes(10000);
  const std::span<const std::byte> piece = message;
  for (int i = 0; i < 20; ++i) {
    std::size_t sent = 0;
    CHECK(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
    CHECK(sent > 0);
    if (i % 2 == 0)
      CHECK(receive_any(pair.b) == errc::would_block);  // else the ring is full at that time
    pair.a.abandon_fragments();
    CHECK(receive_any(pair.b) == errc::would_block);
    (void)park(pair.b, true);
    REQUIRE(send_text(pair.a, "whole") == errc{});
    REQUIRE(receive_text(pair.b) == "whole");
  }
}

TEST_CASE("an abandonment is told at once when there is space") {
  endpoint_pair pair(4096, 4096);
  const bytes message = some_bytes(10000);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  REQUIRE(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  CHECK(receive_any(pair.b) == errc::would_block);
  REQUIRE(sleeps_for_data(pair.b));
  pair.a.abandon_fragments();
  CHECK(pair.a.take_due() == ring::wake_receiver);
  CHECK(pair.a_region.page->tx_tail.load() == 4096 + ring::header_bytes);
}

TEST_CASE("a sender in the middle of a message parks for the space of what it sends next") {
  endpoint_pair pair(4096, 4096);
  const bytes message = some_bytes(4 * 1016 - 8 + 1500);  // four fragments fill the ring
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  REQUIRE(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  REQUIRE(message.size() - sent == 1500);
  REQUIRE(park(pair.a, false, true, 1500).sleeps);
  CHECK(pair.a_region.page->space_wake_at.load() == 1023);  // a fragment of a quarter
  pair.a.abandon_fragments();
  REQUIRE(park(pair.a, false, true, 2000).sleeps);
  CHECK(pair.a_region.page->space_wake_at.load() == 7);  // the abandonment
}

TEST_CASE("abandoning without a message begun sends nothing") {
  endpoint_pair pair;
  pair.a.abandon_fragments();
  CHECK(pair.a_region.page->tx_tail.load() == 0);
}

TEST_CASE("the abandonment that found no space is told before the next message") {
  endpoint_pair pair;
  const bytes message = some_bytes(10000);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  REQUIRE(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  const ring::position full = pair.a_region.page->tx_tail.load();
  pair.a.abandon_fragments();
  CHECK(send_text(pair.a, "early") == errc::would_block);
  CHECK(!pair.a.can_send(5));
  CHECK(pair.a_region.page->tx_tail.load() == full);
  CHECK(receive_any(pair.b) == errc::would_block);
  (void)park(pair.b, true);
  CHECK(pair.a.can_send(5));
  REQUIRE(send_text(pair.a, "now") == errc{});
  CHECK(receive_text(pair.b) == "now");
}

// -- the end --

TEST_CASE("what was sent before close_send is received, then the end of the stream") {
  endpoint_pair pair;
  pair.a.hold(true);
  REQUIRE(send_text(pair.a, "one") == errc{});
  REQUIRE(send_text(pair.a, "two") == errc{});
  REQUIRE(park(pair.b, true).sleeps);
  pair.a.close_send();
  CHECK(pair.a.take_due() == ring::wake_receiver);
  CHECK(pair.a.send_closed());
  CHECK(send_text(pair.a, "three") == errc::closed);
  CHECK(pair.a.can_send(5));
  CHECK(receive_text(pair.b) == "one");
  CHECK(receive_text(pair.b) == "two");
  CHECK(pair.b.can_receive());
  for (int i = 0; i < 3; ++i) CHECK(receive_any(pair.b) == errc::end_of_stream);
  CHECK(send_text(pair.b, "other way") == errc{});
  CHECK(receive_text(pair.a) == "other way");
}

TEST_CASE("closing twice rings once") {
  endpoint_pair pair;
  pair.a.close_send();
  pair.a.close_receive();
  CHECK(pair.a.take_due() == (ring::wake_receiver | ring::wake_sender));
  pair.a.close_send();
  pair.a.close_receive();
  CHECK(pair.a.take_due() == 0);
}

TEST_CASE("what ended while it was taken in needs no second look") {
  endpoint_pair pair;
  const bytes message = some_bytes(10000);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  REQUIRE(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  SUBCASE("by the peer") {
    pair.a.close_send();
    CHECK(pair.b.can_receive());
  }
  SUBCASE("by this side") {
    CHECK(!pair.b.can_receive());
    CHECK(pair.b.interrupted());
    pair.b.close_receive();
  }
  CHECK(!pair.b.interrupted());
}

TEST_CASE("close_send in the middle of a message gives the end of the stream, not half a message") {
  endpoint_pair pair;
  const bytes message = some_bytes(10000);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  REQUIRE(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  pair.a.close_send();
  CHECK(receive_any(pair.b) == errc::end_of_stream);
}

TEST_CASE("close_receive makes a waiting sender fail") {
  endpoint_pair pair;
  fill(pair.a, 120);
  REQUIRE(park(pair.a, false, true, 120).sleeps);
  pair.b.close_receive();
  CHECK(pair.b.take_due() == ring::wake_sender);
  CHECK(pair.b.receive_closed());
  CHECK(receive_any(pair.b) == errc::closed);
  CHECK(pair.b.can_receive());
  CHECK(pair.a.can_send(120));
  CHECK(send_zeros(pair.a, 120) == errc::peer_closed);
}

TEST_CASE("leases may be given back after close_receive") {
  endpoint_pair pair;
  REQUIRE(send_zeros(pair.a, 1500) == errc{});
  ring::message_view m;
  REQUIRE(pair.b.receive(m) == errc{});
  pair.b.close_receive();
  pair.b.release(pair.b.read_position());
  CHECK((pair.b_region.page->rx_head.load() & ring::closed_bit) != 0);
}

TEST_CASE("what a dead peer had published is received, then peer_closed") {
  endpoint_pair pair;
  REQUIRE(send_text(pair.a, "one") == errc{});
  REQUIRE(send_text(pair.a, "two") == errc{});
  pair.b.peer_gone();
  CHECK(pair.b.gone());
  CHECK(receive_text(pair.b) == "one");
  CHECK(receive_text(pair.b) == "two");
  CHECK(receive_any(pair.b) == errc::peer_closed);
  CHECK(pair.b.can_receive());
  CHECK(send_text(pair.b, "x") == errc::peer_closed);
  CHECK(pair.b.can_send(1));
}

TEST_CASE("after abort the peer gets what was committed, and no end of the stream") {
  endpoint_pair pair;
  pair.a.hold(true);
  REQUIRE(send_text(pair.a, "one") == errc{});
  std::byte* claimed = nullptr;
  REQUIRE(pair.a.claim(8, claimed) == errc{});
  pair.a.abort();
  pair.a.commit(8);
  pair.a.close_send();
  pair.a.close_receive();
  pair.a.abort();
  CHECK(send_text(pair.a, "x") == errc::closed);
  CHECK(receive_any(pair.a) == errc::closed);
  CHECK(pair.a.failure() == errc::closed);
  CHECK(receive_text(pair.b) == "one");
  CHECK(receive_any(pair.b) == errc::would_block);
  CHECK(send_text(pair.b, "y") == errc{});
  pair.b.peer_gone();
  CHECK(receive_any(pair.b) == errc::peer_closed);
}

TEST_CASE("a peer that closed in order and then died gave the end of the stream") {
  endpoint_pair pair;
  REQUIRE(send_text(pair.a, "one") == errc{});
  pair.a.close_send();
  pair.b.peer_gone();
  CHECK(receive_text(pair.b) == "one");
  CHECK(receive_any(pair.b) == errc::end_of_stream);
}

TEST_CASE("a peer that died in the middle of a message gives peer_closed") {
  endpoint_pair pair;
  const bytes message = some_bytes(10000);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  REQUIRE(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  pair.b.peer_gone();
  CHECK(receive_any(pair.b) == errc::peer_closed);
}

}  // TEST_SUITE("endpoint")
