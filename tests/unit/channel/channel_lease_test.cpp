// SPDX-License-Identifier: BSL-1.0
// Claims and messages: what is on lease of a ring, and what outlives its channel.
#include <ringbell/channel/channel.hpp>
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <deque>
#include <vector>

#include "support/channel_pair.hpp"
#include "support/patience.hpp"
#include "support/pattern.hpp"

TEST_SUITE("channel_lease") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

// -- claims --

TEST_CASE("a claim is written in place and sent by commit, all of it or its first bytes") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{96}, std::size_t{97}, p.client.max_claim()}) {
      CAPTURE(size);
      claim all = co_await p.client.claim(size);
      REQUIRE(all.bytes().size() == size);
      fill(all.bytes(), size);
      all.commit();
      CHECK_FALSE(all);
      CHECK(all.bytes().empty());
      CHECK(matches((co_await p.server.recv())->bytes(), size));
      claim part = co_await p.client.claim(size);
      fill(part.bytes(), size);
      part.commit(size / 2);
      const auto m = co_await p.server.recv();
      CHECK(m->size() == size / 2);
      CHECK(matches(m->bytes(), size));
    }
  });
}

TEST_CASE("a commit of more than was claimed sends what was claimed") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    claim c = co_await p.client.claim(8);
    fill(c.bytes(), 1);
    c.commit(1000);
    CHECK((co_await p.server.recv())->size() == 8);
  });
}

TEST_CASE("a claim that is abandoned, destroyed or assigned to sends nothing") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    claim c = co_await p.client.claim(100);
    c.abandon();
    c.commit();
    { const claim gone = co_await p.client.claim(100); }
    claim replaced = co_await p.client.claim(100);
    replaced = claim();
    result<claim> tried = p.client.try_claim(3);
    REQUIRE(tried);
    claim moved = std::move(*tried);
    CHECK_FALSE(*tried);
    fill(moved.bytes(), 9);
    moved.commit();
    const auto m = co_await p.server.recv();
    CHECK(m->size() == 3);
    CHECK(matches(m->bytes(), 9));
    CHECK(p.server.try_recv().error() == errc::would_block);
  });
}

TEST_CASE("while there is a claim other sends are busy") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    claim c = co_await p.client.claim(10);
    CHECK(p.client.try_send("x") == errc::busy);
    CHECK(p.client.try_claim(1).error() == errc::busy);
    CHECK((co_await as_result(p.client.send("x"))).error() == errc::busy);
    CHECK((co_await as_result(p.client.claim(1))).error() == errc::busy);
    c.abandon();
    CHECK_FALSE(p.client.try_send("x"));
    CHECK((co_await p.server.recv())->text() == "x");
  });
}

TEST_CASE("a claim may outlive its channel, and then sends nothing") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const int how : {0, 1, 2}) {
      channel_pair p = co_await connected(lp);
      {
        claim c = co_await p.client.claim(1000);
        p.client = channel();
        fill(c.bytes(), 1);
        if (how == 0) c.commit();
        if (how == 1) c.abandon();
      }
      CHECK_FALSE(co_await p.server.recv());
    }
  });
}

TEST_CASE("closing the sender ends a claim without sending it") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    claim c = co_await p.client.claim(10);
    p.client.sender().close();
    fill(c.bytes(), 1);
    c.commit();
    CHECK_FALSE(co_await p.server.recv());
  });
}

TEST_CASE("a claim that waits for space gets it when the peer gives some back") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    int filled = 0;
    while (!p.client.try_send(patterned(500, 1))) ++filled;
    beside waiting(lp, p.client.claim(p.client.max_claim()));
    co_await let_park(lp);
    CHECK_FALSE(waiting.ended());
    for (int i = 0; i < filled; ++i) co_await p.server.recv();
    auto c = co_await waiting.get();
    REQUIRE(c.has_value());
    fill(c->bytes(), 4);
    c->commit();
    CHECK(matches((co_await p.server.recv())->bytes(), 4));
  });
}

TEST_CASE(
    "space that was claimed for a coroutine that is destroyed before it runs again is free again") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    int filled = 0;
    while (!p.client.try_send(patterned(500, 1))) ++filled;
    {
      beside waiting(lp, p.client.claim(100));
      co_await settle();
      for (int i = 0; i < filled; ++i) CHECK(p.server.try_recv());
      detail::access::impl_of(p.server)->ring().publish();
      REQUIRE(detail::access::impl_of(p.client)->poll());
      CHECK(p.client.try_send("x") == errc::busy);
    }
    CHECK_FALSE(p.client.try_send("x"));
    CHECK(p.server.try_recv()->text() == "x");
    co_return;
  });
}

// -- messages --

TEST_CASE("messages stay readable after their channel and their peer are gone") {
  on_a_loop([](loop& lp) -> task<void> {
    std::deque<message> kept;
    {
      channel_pair p = co_await connected_by_rings_of(lp, 4096);
      for (const std::size_t size : {10000, 10, 300, 0, 1000}) {
        const auto bytes = patterned(size, size);
        beside sent(lp, p.client.send(bytes));
        kept.push_back(*co_await p.server.recv());
        CHECK((co_await sent.get()).has_value());
      }
    }
    co_await let_park(lp);
    for (const std::size_t size : {10000, 10, 300, 0, 1000}) {
      CHECK(kept.front().size() == size);
      CHECK(matches(kept.front().bytes(), size));
      kept.pop_front();
    }
  });
}

TEST_CASE("several held messages outlive their channel and go in any order") {
  on_a_loop([](loop& lp) -> task<void> {
    std::vector<message> kept;
    {
      channel_pair p = co_await connected(lp);
      for (std::size_t i = 0; i < 5; ++i) {
        co_await p.client.send(patterned(100 * i + 1, i));
        kept.push_back(*co_await p.server.recv());
      }
    }
    for (const std::size_t i : {2, 0, 4, 3, 1}) {
      CHECK(matches(kept[i].bytes(), i));
      kept[i].release();
      CHECK(kept[i].empty());
    }
  });
}

TEST_CASE("the peer gets space back up to the oldest message that is still held") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    const auto bytes = patterned(1000, 3);
    std::vector<message> held;
    while (!p.client.try_send(bytes)) held.push_back(std::move(*p.server.try_recv()));
    REQUIRE(held.size() >= 3);
    held[1].release();
    held[2] = message();
    CHECK(p.client.try_send(bytes) == errc::would_block);
    message moved = std::move(held[0]);
    CHECK(held[0].empty());
    CHECK(matches(moved.bytes(), 3));
    held.erase(held.begin(), held.begin() + 3);
    CHECK(p.client.try_send(bytes) == errc::would_block);
    moved.release();
    moved.release();
    CHECK_FALSE(p.client.try_send(bytes));
    for (auto& m : held) CHECK(matches(m.bytes(), 3));
    CHECK(matches(p.server.try_recv()->bytes(), 3));
    co_return;
  });
}

TEST_CASE("messages that are received, kept, moved and released at random keep their bytes") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 16384);
    struct kept_message {
      kept_message(message m, std::uint64_t s) noexcept : what(std::move(m)), seed(s) {}
      message what;
      std::uint64_t seed;
    };
    std::vector<kept_message> kept;
    std::uint64_t sent = 0, received = 0;
    bool right = true;
    for (std::uint64_t step = 0; step < 50000; ++step) {
      switch (pick(step, 4)) {
        case 0:
        case 1:
          if (!p.client.try_send(patterned(pick(sent, 600), sent))) ++sent;
          break;
        case 2:
          if (auto m = p.server.try_recv()) {
            right &= m->size() == pick(received, 600);
            kept.emplace_back(std::move(*m), received++);
          }
          break;
        default:
          if (kept.empty()) break;
          const std::size_t i = pick(step + 1, kept.size());
          right &= matches(kept[i].what.bytes(), kept[i].seed);
          if (i + 1 != kept.size()) std::swap(kept[i], kept.back());
          kept.pop_back();
      }
    }
    CHECK(right);
    CHECK(received > 5000);
    for (const auto& k : kept) CHECK(matches(k.what.bytes(), k.seed));
    kept.clear();
    while (p.server.try_recv()) ++received;
    CHECK(received == sent);
    co_return;
  });
}

TEST_CASE(
    "space released before the loop sleeps is known to the peer, even when nobody here waits on the channel") {
  for (const std::size_t size : {std::size_t{40}, std::size_t{500}, std::size_t{2000}}) {
    CAPTURE(size);
    on_a_loop([size](loop& lp) -> task<void> {
      channel_pair p = co_await connected_by_rings_of(lp, 4096);
      const auto bytes = patterned(size, 1);
      while (!p.client.try_send(bytes)) continue;
      beside sent(lp, p.client.send(bytes));
      co_await let_park(lp);
      while (p.server.try_recv()) continue;
      const auto ended = co_await as_result(timeout(patience, sent.get()));
      REQUIRE(ended.has_value());
      CHECK(ended->has_value());
    });
  }
}

}  // TEST_SUITE("channel_lease")
