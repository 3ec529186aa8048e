// SPDX-License-Identifier: BSL-1.0
#include <ringbell/ring/endpoint.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "support/endpoint_steps.hpp"
#include "support/endpoint_traffic.hpp"
#include "support/turns.hpp"

TEST_SUITE("endpoint_wake") {

using namespace ringbell;
using namespace endpoint_steps;

namespace {

// Lets two threads do something at the same moment, again and again.
class meeting {
public:
  void arrive(std::uint64_t& mine) {
    mine += 2;
    arrived_.fetch_add(1, std::memory_order_acq_rel);
    for (int spins = 0; arrived_.load(std::memory_order_acquire) < mine; ++spins)
      if (spins > 2000) std::this_thread::yield();
  }

private:
  std::atomic<std::uint64_t> arrived_{0};
};

// A few nanoseconds, different each time.
void dither(std::uint64_t round) {
  for (volatile unsigned i = static_cast<unsigned>(round * 0x9e3779b97f4a7c15u >> 59); i > 0;)
    i = i - 1;
}

template <class There, class Here, class After>
void at_the_same_moment(There there, Here here, After after) {
  const std::uint64_t rounds = test::turns(20'000);
  // With a bound on the time: where the threads have one processor for both, a meeting takes two
  // switches between them.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(test::turns(2));
  meeting point;
  std::atomic<bool> stop{false};
  std::thread other([&] {
    std::uint64_t mine = 0;
    for (std::uint64_t round = 0;; ++round) {
      point.arrive(mine);
      if (stop.load(std::memory_order_relaxed)) return;
      dither(round);
      there();
      point.arrive(mine);
    }
  });
  std::uint64_t mine = 0;
  bool good = true;
  for (std::uint64_t round = 0;
       round < rounds && good && std::chrono::steady_clock::now() < deadline; ++round) {
    point.arrive(mine);
    dither(round * 7 + 3);
    here();
    point.arrive(mine);
    good = after();
  }
  stop.store(true, std::memory_order_relaxed);
  point.arrive(mine);
  other.join();
  CHECK(good);
}

}  // namespace

// -- holding, publishing, whom to wake --

TEST_CASE("held messages are invisible until published, then all there, with one bell") {
  endpoint_pair pair;
  REQUIRE(sleeps_for_data(pair.b));
  pair.a.hold(true);
  for (int i = 0; i < 5; ++i) REQUIRE(send_text(pair.a, "held") == errc{});
  CHECK(receive_any(pair.b) == errc::would_block);
  CHECK(pair.a.take_due() == 0);
  pair.a.publish();
  CHECK(pair.a.take_due() == ring::wake_receiver);
  CHECK(pair.a.take_due() == 0);
  pair.a.publish();
  CHECK(pair.a.take_due() == 0);
  for (int i = 0; i < 5; ++i) CHECK(receive_text(pair.b) == "held");
}

TEST_CASE("held messages are published when space runs out") {
  endpoint_pair pair;
  pair.a.hold(true);
  const std::size_t n = fill(pair.a, 120);
  CHECK(n == 32);
  for (std::size_t i = 0; i < n; ++i) CHECK(receive_any(pair.b) == errc{});
}

TEST_CASE("parking publishes what was held") {
  endpoint_pair pair;
  pair.a.hold(true);
  REQUIRE(send_text(pair.a, "held") == errc{});
  CHECK(sleeps_for_data(pair.a));
  CHECK(receive_text(pair.b) == "held");
}

TEST_CASE("a peer that never slept is not rung for") {
  endpoint_pair pair;
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(send_zeros(pair.a, static_cast<std::size_t>(i % 300)) == errc{});
    REQUIRE(receive_any(pair.b) == errc{});
    REQUIRE(pair.a.take_due() == 0);
    REQUIRE(pair.b.take_due() == 0);
  }
  CHECK(pair.a.counters().bells_suppressed.load() == 1000);
}

TEST_CASE("a parked receiver is rung for once, and again only after it parked again") {
  endpoint_pair pair;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(sleeps_for_data(pair.b));
    REQUIRE(send_zeros(pair.a, 10) == errc{});
    REQUIRE(pair.a.take_due() == ring::wake_receiver);
    for (int j = 0; j < 3; ++j) {
      REQUIRE(send_zeros(pair.a, 10) == errc{});
      REQUIRE(pair.a.take_due() == 0);
    }
    for (int j = 0; j < 4; ++j) REQUIRE(receive_any(pair.b) == errc{});
  }
}

TEST_CASE(
    "a receiver that wants more before it wakes is rung for when the tail has passed its index") {
  endpoint_pair pair;
  constexpr ring::position step = 24;
  pair.b_region.page->data_wake_at.store(3 * step);
  for (const ring::wake_set due : {0u, 0u, 0u, ring::wake_receiver, 0u}) {
    REQUIRE(send_zeros(pair.a, 16) == errc{});
    CHECK(pair.a.take_due() == due);
  }
}

TEST_CASE("a receiver does not sleep when data came before its second look") {
  endpoint_pair pair;
  pair.b.announce(true, false, 0);
  REQUIRE(send_zeros(pair.a, 10) == errc{});
  detail::park_fence();
  pair.b.after_fence();
  CHECK(pair.b.can_receive());
}

TEST_CASE("a sender parked for space is rung for once there is enough of it, once") {
  endpoint_pair pair;
  const std::size_t n = fill(pair.a, 120);
  REQUIRE(park(pair.a, false, true, 500).sleeps);
  ring::wake_set woken = 0;
  for (std::size_t i = 0; i < n; ++i) {
    REQUIRE(receive_any(pair.b) == errc{});
    pair.b.publish();
    const ring::wake_set due = pair.b.take_due();
    CHECK((due & woken) == 0);
    woken |= due;
    CHECK(pair.a.can_send(500) == (woken == ring::wake_sender));
  }
  CHECK(woken == ring::wake_sender);
}

TEST_CASE(
    "a sender parked for space is rung for by a lazy head at the latest when the receiver parks") {
  endpoint_pair pair;
  fill(pair.a, 120);
  REQUIRE(park(pair.a, false, true, 120).sleeps);
  REQUIRE(receive_any(pair.b) == errc{});
  CHECK(pair.b.release_pending());
  CHECK(pair.b.take_due() == 0);
  while (receive_any(pair.b) == errc{}) continue;
  const ring::wake_set before = pair.b.take_due();
  const auto parked = park(pair.b, true);
  CHECK(parked.sleeps);
  CHECK((before | parked.due) == ring::wake_sender);
  CHECK(!pair.b.release_pending());
  CHECK(pair.a.can_send(120));
}

TEST_CASE("parking publishes less than a quarter of released space, and rings for it") {
  endpoint_pair pair;
  fill(pair.a, 120);
  REQUIRE(park(pair.a, false, true, 120).sleeps);
  REQUIRE(receive_any(pair.b) == errc{});
  const auto parked = park(pair.b, false, true, 4000);
  CHECK(parked.due == ring::wake_sender);
  CHECK(pair.a.can_send(120));
}

TEST_CASE("a sender does not sleep when space came before its second look") {
  endpoint_pair pair;
  fill(pair.a, 120);
  pair.a.announce(false, true, 120);
  REQUIRE(receive_any(pair.b) == errc{});
  pair.b.publish();
  CHECK(pair.b.take_due() == ring::wake_sender);
  detail::park_fence();
  pair.a.after_fence();
  CHECK(pair.a.can_send(120));
}

TEST_CASE("a reply carries the news of released space") {
  endpoint_pair pair;
  REQUIRE(send_zeros(pair.a, 10) == errc{});
  REQUIRE(receive_any(pair.b) == errc{});
  CHECK(pair.b.release_pending());
  REQUIRE(send_zeros(pair.b, 10) == errc{});
  CHECK(!pair.b.release_pending());
  CHECK(pair.b_region.page->rx_head.load() == pair.a_region.page->tx_tail.load());
}

TEST_CASE("a cancelled wait costs one bell too many, at most") {
  endpoint_pair pair;
  REQUIRE(sleeps_for_data(pair.b));  // and then it gives up waiting
  unsigned bells = 0;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(send_zeros(pair.a, 10) == errc{});
    if (pair.a.take_due() != 0) ++bells;
    REQUIRE(receive_any(pair.b) == errc{});
  }
  CHECK(bells == 1);
}

TEST_CASE(
    "a receiver that takes in a fragment while it parks must announce anew, and is then rung for") {
  endpoint_pair pair;
  const bytes message = some_bytes(10000);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  pair.b.announce(true, false, 0);
  REQUIRE(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  (void)pair.a.take_due();
  detail::park_fence();
  pair.b.after_fence();
  CHECK(!pair.b.can_receive());
  CHECK(pair.b.interrupted());
  REQUIRE(sleeps_for_data(pair.b));
  REQUIRE(pair.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  CHECK(pair.a.take_due() == ring::wake_receiver);
}

// -- two threads --

TEST_CASE("a receiver that parks at the moment of a send sees the message, or is rung for") {
  endpoint_pair pair;
  const bytes message(16);
  bool sleeps = false;
  ring::wake_set due = 0;
  at_the_same_moment(
      [&] {
        (void)send_all(pair.a, message);
        due = pair.a.take_due();
      },
      [&] { sleeps = sleeps_for_data(pair.b); },
      [&] { return (!sleeps || due == ring::wake_receiver) && receive_any(pair.b) == errc{}; });
}

TEST_CASE("a sender that parks at the moment of a release sees the space, or is rung for") {
  endpoint_pair pair;
  const bytes message(120);
  fill(pair.a, message.size());
  bool sleeps = false;
  ring::wake_set due = 0;
  at_the_same_moment(
      [&] {
        (void)receive_any(pair.b);
        pair.b.publish();
        due = pair.b.take_due();
      },
      [&] { sleeps = park(pair.a, false, true, 120).sleeps; },
      [&] { return (!sleeps || due == ring::wake_sender) && send_all(pair.a, message) == errc{}; });
}

TEST_CASE("two threads that park after random spins exchange every message, in both directions") {
  if (!traffic::can_sleep()) {
    MESSAGE("skipped: no futexes here");
    return;
  }
  const std::uint64_t messages = test::turns(40'000);
  for (const auto& [a_ring, b_ring] :
       {std::pair<std::uint64_t, std::uint64_t>{4096, 4096}, {4096, 65536}}) {
    const traffic::outcome both =
        traffic::exchange({messages, a_ring, b_ring, std::random_device{}()});
    CHECK(both.received == 2 * messages);
    CHECK(both.sleeps > 0);
  }
}

}  // TEST_SUITE("endpoint_wake")
