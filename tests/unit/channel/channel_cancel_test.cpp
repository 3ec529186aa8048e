// SPDX-License-Identifier: BSL-1.0
// Stops, timeouts and destroyed coroutines: nothing is lost, half-sent or left registered.
#include <ringbell/channel/channel.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/coro/when_any.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <vector>

#include "support/channel_pair.hpp"
#include "support/full_ring.hpp"
#include "support/pattern.hpp"

TEST_SUITE("channel_cancel") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

void drain(channel& ch) {
  while (ch.try_recv()) continue;
}

task<void> ping(channel& from, channel& to) {
  co_await from.send("ping");
  const auto m = co_await to.recv();
  REQUIRE(m);
  CHECK(m->text() == "ping");
}

}  // namespace

TEST_CASE("a receive that times out takes nothing: the next one gets what is sent afterwards") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    for (int i = 0; i < 3; ++i) {
      CHECK((co_await as_result(timeout(1ms, p.server.recv()))).error() == errc::timed_out);
      co_await ping(p.client, p.server);
    }
  });
}

TEST_CASE("a stop ends a pending receive, send and claim with cancelled, and the channel goes on") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool parked : {false, true}) {
      channel_pair p = co_await connected_by_rings_of(lp, 4096);
      fill_ring(p.client, 500);
      beside received(lp, p.client.recv());
      const auto bytes = patterned(500, 9);
      beside sent(lp, p.client.send(bytes));
      co_await settle();
      if (parked) co_await let_park(lp);
      received.request_stop();
      sent.request_stop();
      CHECK((co_await received.get()).error() == errc::cancelled);
      CHECK((co_await sent.get()).error() == errc::cancelled);
      beside claimed(lp, p.client.claim(500));
      co_await settle();
      claimed.request_stop();
      CHECK((co_await claimed.get()).error() == errc::cancelled);
      drain(p.server);
      co_await ping(p.client, p.server);
      co_await ping(p.server, p.client);
    }
  });
}

TEST_CASE("a wait that is begun after the stop ends with cancelled") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    fill_ring(p.client, 500);
    const auto bytes = patterned(500, 9);
    beside received(lp, p.client.recv());
    beside sent(lp, p.client.send(bytes));
    received.request_stop();
    sent.request_stop();
    CHECK((co_await received.get()).error() == errc::cancelled);
    CHECK((co_await sent.get()).error() == errc::cancelled);
    drain(p.server);
    co_await ping(p.client, p.server);
  });
}

TEST_CASE(
    "a stop that comes after the wake-up, and before the coroutine runs, leaves the message where it is") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    beside received(lp, p.server.recv());
    co_await settle();
    co_await p.client.send("ping");
    REQUIRE(detail::access::impl_of(p.server)->poll());
    received.request_stop();
    CHECK((co_await received.get()).error() == errc::cancelled);
    CHECK((co_await p.server.recv())->text() == "ping");
  });
}

TEST_CASE("a send cancelled half-way shows the peer nothing, and the next message arrives intact") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool peer_reads : {false, true}) {
      CAPTURE(peer_reads);
      channel_pair p = co_await connected_by_rings_of(lp, 4096);
      const auto large = patterned(100000, 1);
      beside sent(lp, p.client.send(large));
      co_await settle();
      co_await let_park(lp);
      beside received(lp, p.server.recv());
      if (peer_reads) co_await settle();
      CHECK_FALSE(sent.ended());
      sent.request_stop();
      CHECK((co_await sent.get()).error() == errc::cancelled);
      const auto next = patterned(50000, 2);
      beside sent_next(lp, p.client.send(next));
      const auto m = co_await received.get();
      REQUIRE(m.has_value());
      REQUIRE(*m);
      CHECK((*m)->size() == next.size());
      CHECK(matches((*m)->bytes(), 2));
      CHECK((co_await sent_next.get()).has_value());
      co_await ping(p.client, p.server);
      CHECK(p.client.statistics().messages_sent == 2);
      CHECK(p.server.statistics().messages_received == 2);
    }
  });
}

TEST_CASE("a large send that is destroyed or closed half-way shows the peer nothing") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const int how : {0, 1, 2}) {
      CAPTURE(how);
      channel_pair p = co_await connected_by_rings_of(lp, 4096);
      const auto large = patterned(100000, 1);
      std::optional<beside<sender::send_awaitable>> sent;
      sent.emplace(lp, p.client.send(large));
      co_await let_park(lp);
      if (how == 0) sent.reset();
      if (how == 1) p.client.sender().close();
      if (how == 2) p.client = channel();
      if (how == 0) {
        p.server.try_recv().error();
        co_await ping(p.client, p.server);
      } else {
        CHECK_FALSE(co_await p.server.recv());
        CHECK((co_await sent->get()).error() == errc::closed);
      }
    }
  });
}

TEST_CASE("coroutines that are destroyed while they wait leave nothing behind") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool parked : {false, true}) {
      channel_pair p = co_await connected_by_rings_of(lp, 4096);
      fill_ring(p.client, 500);
      std::vector<std::byte> buffer(1000);
      const auto bytes = patterned(500, 1);
      {
        beside received(lp, p.client.recv());
        beside sent(lp, p.client.send(bytes));
        if (parked) co_await let_park(lp);
        co_await settle();
      }
      {
        beside received(lp, p.client.recv_into(buffer));
        beside claimed(lp, p.client.claim(500));
        if (parked) co_await let_park(lp);
        co_await settle();
        // Woken, but not resumed.
        drain(p.server);
        co_await p.server.send("wakes both");
        detail::access::impl_of(p.client)->poll();
      }
      CHECK((co_await p.client.recv())->text() == "wakes both");
      co_await ping(p.client, p.server);
      co_await ping(p.server, p.client);
      co_await let_park(lp);
    }
  });
}

TEST_CASE("channels, waits and messages end with a loop that is destroyed around them") {
  for (int round = 0; round < 3; ++round) {
    loop lp;
    const auto wait_forever = [](loop& on) -> task<void> {
      channel_pair p = co_await connected(on);
      co_await p.client.send("kept");
      const auto m = co_await p.server.recv();
      co_await p.server.recv();
    };
    lp.spawn(wait_forever(lp));
    const auto leave = [](loop& on) -> task<void> { co_await let_park(on); };
    lp.run(leave(lp));
  }
}

TEST_CASE("a receive that races a timer loses, repeats and reorders no message") {
  constexpr std::uint64_t messages = 20000;
  for (const bool by_timeout : {false, true}) {
    CAPTURE(by_timeout);
    std::uint64_t wrong = 0, lost_races = 0, won_races = 0;
    on_two_loops(
        [&](loop&, channel ch) -> task<void> {
          std::uint64_t next = 0;
          for (std::uint64_t race = 0; next < messages; ++race) {
            std::optional<message> m;
            const auto limit = std::chrono::nanoseconds(pick(race, 3000));
            if (by_timeout) {
              auto r = co_await as_result(timeout(limit, ch.recv()));
              if (r) m = std::move(*r);
            } else {
              auto first = co_await when_any(ch.recv(), sleep_for(limit));
              if (first.index() == 0) m = std::move(first.template get<0>());
            }
            if (!m) {
              ++lost_races;
              continue;
            }
            ++won_races;
            std::uint64_t number = 0;
            std::memcpy(&number, m->data(), sizeof number);
            if (m->size() != sizeof number + pick(next, 200) || number != next) ++wrong;
            ++next;
          }
        },
        [&](loop&, channel ch) -> task<void> {
          std::vector<std::byte> bytes(1000);
          for (std::uint64_t n = 0; n < messages; ++n) {
            std::memcpy(bytes.data(), &n, sizeof n);
            co_await ch.send(std::span(bytes).first(sizeof n + pick(n, 200)));
            for (auto pause = pick(n + 1, 500); pause > 0; --pause)
              std::atomic_signal_fence(std::memory_order_seq_cst);
            if (n % 16 == 0) co_await sleep_for(std::chrono::nanoseconds(pick(n, 2000)));
          }
          CHECK_FALSE(co_await ch.recv());
        });
    CHECK(wrong == 0);
    CHECK(won_races == messages);
    MESSAGE("races lost: " << lost_races);
  }
}

TEST_CASE("sends and claims that race a timer arrive exactly when they say so") {
  constexpr std::uint64_t attempts = 5000;
  std::vector<std::uint64_t> sent, received;
  on_two_loops(
      [&](loop&, channel ch) -> task<void> {
        while (const auto m = co_await ch.recv()) {
          std::uint64_t number = 0;
          REQUIRE(m->size() >= sizeof number);
          std::memcpy(&number, m->data(), sizeof number);
          CHECK(matches(m->bytes().subspan(sizeof number), number));
          received.push_back(number);
          if (number % 8 == 0) co_await sleep_for(std::chrono::nanoseconds(pick(number, 20000)));
        }
      },
      [&](loop&, channel ch) -> task<void> {
        std::vector<std::byte> bytes(9000);
        for (std::uint64_t n = 0; n < attempts; ++n) {
          const auto limit = std::chrono::nanoseconds(pick(n, 3000));
          if (n % 3 == 2) {
            auto c = co_await as_result(timeout(limit, ch.claim(1000)));
            if (!c) continue;
            std::memcpy(c->bytes().data(), &n, sizeof n);
            fill(c->bytes().subspan(sizeof n), n);
            c->commit();
          } else {
            const auto message = std::span(bytes).first(sizeof n + pick(n, 8000));
            std::memcpy(message.data(), &n, sizeof n);
            fill(message.subspan(sizeof n), n);
            const auto s = co_await as_result(timeout(limit, ch.send(message)));
            if (!s) continue;
          }
          sent.push_back(n);
        }
      },
      {}, {},
      [] {
        connect_options o;
        o.ring_bytes = 4096;
        return o;
      }());
  CHECK(sent == received);
  MESSAGE("sent: " << sent.size());
}

}  // TEST_SUITE("channel_cancel")
