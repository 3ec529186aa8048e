// SPDX-License-Identifier: BSL-1.0
// How the directions of a channel end, and what waits then learn.
#include <ringbell/channel/channel.hpp>

#include <doctest/doctest.h>

#include <system_error>

#include "support/channel_pair.hpp"
#include "support/full_ring.hpp"
#include "support/pattern.hpp"

TEST_SUITE("channel_end") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

TEST_CASE("recv gives an empty optional once the peer has closed and all was received") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    co_await p.client.send("one");
    co_await p.client.send("two");
    p.client.close();
    CHECK((co_await p.server.recv())->text() == "one");
    CHECK((co_await p.server.recv())->text() == "two");
    CHECK_FALSE(co_await p.server.recv());
    CHECK_FALSE(co_await p.server.recv());
    CHECK(p.server.try_recv().error() == errc::end_of_stream);
  });
}

TEST_CASE("what was sent before the peer destroyed its channel is received, then the end") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    co_await p.client.send("one");
    co_await p.client.send("two");
    p.client = channel();
    CHECK_FALSE(p.client);
    co_await let_park(lp);
    CHECK((co_await p.server.recv())->text() == "one");
    CHECK((co_await p.server.recv())->text() == "two");
    CHECK_FALSE(co_await p.server.recv());
    std::error_code error;
    while (!error)
      error = (co_await as_result(p.server.send("who is there?")))
                  .error();  // Windows tells of the hang-up a moment later
    CHECK(error == errc::peer_closed);
    CHECK(p.server.try_claim(1).error() == errc::peer_closed);
  });
}

TEST_CASE("a parked receiver learns that the peer closed, or went away") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool destroy : {false, true}) {
      channel_pair p = co_await connected(lp);
      beside received(lp, p.server.recv());
      co_await let_park(lp);
      if (destroy)
        p.client = channel();
      else
        p.client.close();
      const auto m = co_await received.get();
      REQUIRE(m.has_value());
      CHECK_FALSE(*m);
    }
  });
}

TEST_CASE("a sender that waits for space learns that the peer receives no more, or went away") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool destroy : {false, true}) {
      channel_pair p = co_await connected_by_rings_of(lp, 4096);
      fill_ring(p.client, 500);
      beside sent(lp, p.client.send(patterned(500, 1)));
      co_await let_park(lp);
      if (destroy)
        p.server = channel();
      else
        p.server.receiver().close();
      CHECK((co_await sent.get()).error() == errc::peer_closed);
    }
  });
}

TEST_CASE("each direction ends for itself") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    p.client.sender().close();
    p.client.sender().close();
    CHECK_FALSE(co_await p.server.recv());
    CHECK((co_await as_result(p.client.send("no"))).error() == errc::closed);
    CHECK(p.client.try_send("no") == errc::closed);
    CHECK(p.client.try_claim(1).error() == errc::closed);
    co_await p.server.send("the other way still works");
    CHECK((co_await p.client.recv())->text() == "the other way still works");
    p.client.receiver().close();
    CHECK((co_await as_result(p.client.recv())).error() == errc::closed);
    CHECK(p.client.try_recv().error() == errc::closed);
  });
}

TEST_CASE("waits that are pending when their half is closed or destroyed end with closed") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool destroy : {false, true}) {
      CAPTURE(destroy);
      channel_pair p = co_await connected_by_rings_of(lp, 4096);
      fill_ring(p.client, 500);
      beside sent(lp, p.client.send(patterned(500, 1)));
      beside claimed(lp, p.server.claim(10));
      CHECK((co_await claimed.get()).has_value());
      beside received(lp, p.client.recv());
      co_await let_park(lp);
      if (destroy)
        p.client = channel();
      else
        p.client.close();
      CHECK((co_await sent.get()).error() == errc::closed);
      CHECK((co_await received.get()).error() == errc::closed);
    }
  });
}

TEST_CASE(
    "a receive that has been woken but not resumed when its half is destroyed ends with closed") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    beside received(lp, p.server.recv());
    co_await settle();
    co_await p.client.send("too late");
    REQUIRE(detail::access::impl_of(p.server)->poll());
    p.server = channel();
    CHECK((co_await received.get()).error() == errc::closed);
  });
}

TEST_CASE("an aborted channel is like one whose process has died") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool parked : {false, true}) {
      channel_pair p = co_await connected(lp);
      co_await p.client.send("sent");
      claim held = co_await p.client.claim(10);
      co_await p.server.send("leased");
      message lease = *co_await p.client.recv();
      CHECK((co_await p.server.recv())->text() == "sent");
      beside received(lp, p.server.recv());
      if (parked) co_await let_park(lp);
      p.client.abort();
      p.client.abort();
      held.commit();
      p.client.close();
      CHECK((co_await received.get()).error() == errc::peer_closed);
      CHECK(p.server.try_recv().error() == errc::peer_closed);
      CHECK(p.server.try_send("x") == errc::peer_closed);
      CHECK(p.client.try_send("x") == errc::closed);
      CHECK(p.client.try_recv().error() == errc::closed);
      CHECK(lease.text() == "leased");
    }
  });
}

TEST_CASE("waits that are pending when their channel is aborted end with closed") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    fill_ring(p.client, 500);
    beside sent(lp, p.client.send(patterned(500, 1)));
    beside received(lp, p.client.recv());
    co_await let_park(lp);
    p.client.abort();
    CHECK((co_await sent.get()).error() == errc::closed);
    CHECK((co_await received.get()).error() == errc::closed);
  });
}

TEST_CASE("a second wait on the same half is busy, and the first goes on") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    const int filled = fill_ring(p.client, 500);
    const auto bytes = patterned(500, 7);
    beside sent(lp, p.client.send(bytes));
    beside received(lp, p.client.recv());
    co_await settle();
    CHECK((co_await as_result(p.client.send("second"))).error() == errc::busy);
    CHECK((co_await as_result(p.client.claim(1))).error() == errc::busy);
    CHECK((co_await as_result(p.client.recv())).error() == errc::busy);
    CHECK(p.client.try_send("second") == errc::busy);
    CHECK(p.client.try_claim(1).error() == errc::busy);
    CHECK(p.client.try_recv().error() == errc::busy);
    for (int i = 0; i < filled; ++i) co_await p.server.recv();
    CHECK(matches((co_await p.server.recv())->bytes(), 7));
    co_await p.server.send("first");
    const auto m = co_await received.get();
    CHECK((*m)->text() == "first");
    CHECK((co_await sent.get()).has_value());
  });
}

TEST_CASE("a channel without a connection says closed") {
  on_a_loop([](loop&) -> task<void> {
    channel ch;
    CHECK_FALSE(ch);
    CHECK((co_await as_result(ch.recv())).error() == errc::closed);
    CHECK((co_await as_result(ch.send("x"))).error() == errc::closed);
    CHECK((co_await as_result(ch.claim(1))).error() == errc::closed);
    CHECK(ch.try_send("x") == errc::closed);
    CHECK(ch.try_recv().error() == errc::closed);
    CHECK(ch.max_claim() == 0);
    CHECK(ch.statistics().messages_sent == 0);
    ch.close();
  });
}

}  // TEST_SUITE("channel_end")
