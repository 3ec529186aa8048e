// SPDX-License-Identifier: BSL-1.0
// When a side is woken, when not, and who gets a turn: bells, batches, fairness, allocations.
#include <ringbell/channel/channel.hpp>
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "support/allocations.hpp"
#include "support/applies.hpp"
#include "support/channel_pair.hpp"
#include "support/patience.hpp"
#include "support/pattern.hpp"

TEST_SUITE("channel_wake") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<void> echo(channel ch) {
  while (const auto m = co_await ch.recv()) co_await ch.send(m->bytes());
}

template <class A>
task<bool> ends_soon(A& wait) {
  const auto r = co_await as_result(timeout(patience, wait.get()));
  co_return r.has_value() && r->has_value();
}

loop_options with(spin_policy spin) {
  loop_options o;
  o.spin = spin;
  return o;
}

/// A coroutine type that knows nothing of this library.
struct plain_coroutine {
  struct promise_type {
    plain_coroutine get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

}  // namespace

// -- bells --

TEST_CASE("each kind of bell wakes a parked receiver and a parked sender, in both directions" *
          needs_kinds_of_bell) {
  for (const auto kind : {sys::bell_kind::eventfd, sys::bell_kind::socket, sys::bell_kind::futex}) {
    CAPTURE(std::string(sys::name_of(kind)));
    on_a_loop([kind](loop& lp) -> task<void> {
      if (kind == sys::bell_kind::futex && !lp.can_wait_on_futex()) {
        MESSAGE("skipped: this loop cannot wait on a futex");
        co_return;
      }
      listener_options of_server;
      of_server.bells = sys::bell_bit(kind);
      of_server.default_ring_bytes = 4096;
      connect_options of_client;
      of_client.bells = sys::bell_bit(kind);
      of_client.ring_bytes = 4096;
      channel_pair p = co_await connected(lp, of_server, of_client);
      CHECK(p.client.woken_by() == kind);
      CHECK(p.server.woken_by() == kind);
      channel* ends[2] = {&p.server, &p.client};
      for (int round = 0; round < 6; ++round) {
        channel& from = *ends[round % 2];
        channel& to = *ends[1 - round % 2];
        beside received(lp, to.recv());
        co_await let_park(lp);
        CHECK_FALSE(from.try_send("wake up"));
        CHECK(co_await ends_soon(received));
        const auto large = patterned(20000, 1);
        beside sent(lp, from.send(large));
        co_await let_park(lp);
        CHECK_FALSE(sent.ended());
        const auto m = co_await to.recv();
        CHECK(matches(m->bytes(), 1));
        CHECK(co_await ends_soon(sent));
      }
      for (channel* ch : ends) {
        CHECK(ch->statistics().parks >= 3);
        CHECK(ch->statistics().bells_rung >= 3);
        CHECK(ch->statistics().messages_sent == 6);
        CHECK(ch->statistics().messages_received == 6);
      }
      beside received(lp, p.server.recv());
      co_await let_park(lp);
      p.client = channel();
      CHECK(co_await ends_soon(received));
    });
  }
}

TEST_CASE("the kinds of bell can differ between the two directions" * needs_kinds_of_bell) {
  on_a_loop([](loop& lp) -> task<void> {
    listener_options of_server;
    of_server.bells = sys::bell_bit(sys::bell_kind::socket);
    channel_pair p = co_await connected(lp, of_server);
    CHECK(p.server.woken_by() == sys::bell_kind::socket);
    CHECK(p.client.woken_by() == sys::bell_kind::eventfd);
    scope server{lp};
    server.spawn(echo(std::move(p.server)));
    for (int i = 0; i < 3; ++i) {
      co_await let_park(lp);
      co_await p.client.send("x");
      CHECK((co_await p.client.recv())->text() == "x");
    }
  });
}

TEST_CASE("an exchange works with each way to spin, and with none no wait is polled for") {
  for (const auto spin : {spin_policy::none, spin_policy::adaptive, spin_policy::always}) {
    CAPTURE(static_cast<int>(spin));
    loop lp(with(spin));
    const auto talk = [](loop& on) -> task<void> {
      channel_pair p = co_await connected(on);
      scope server{on};
      server.spawn(echo(std::move(p.server)));
      for (int i = 0; i < 1000; ++i) {
        co_await p.client.send("ping");
        co_await p.client.recv();
      }
    };
    lp.run(talk(lp));
    CHECK(lp.spinning() == spin);
    if (spin == spin_policy::none) CHECK(lp.statistics().spins == 0);
  }
}

// -- batches --

TEST_CASE("a batch is published when it ends, or is flushed, with one bell") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    {
      sender::batch together(p.client.sender());
      for (int i = 0; i < 10; ++i) co_await p.client.send("x");
      CHECK(p.server.try_recv().error() == errc::would_block);
      together.flush();
      for (int i = 0; i < 10; ++i) CHECK(p.server.try_recv());
      CHECK_FALSE(p.client.try_send("y"));
      claim c = co_await p.client.claim(10);
      c.commit();
      CHECK(p.server.try_recv().error() == errc::would_block);
    }
    CHECK(p.server.try_recv());
    CHECK(p.server.try_recv());
    beside received(lp, p.server.recv());
    co_await let_park(lp);
    const auto rung = p.client.statistics().bells_rung;
    {
      sender::batch together(p.client.sender());
      for (int i = 0; i < 10; ++i) CHECK_FALSE(p.client.try_send("x"));
      CHECK(p.client.statistics().bells_rung == rung);
    }
    CHECK(p.client.statistics().bells_rung == rung + 1);
    CHECK(co_await ends_soon(received));
  });
}

TEST_CASE("a batch that fills the ring is published, and the sender waits for space") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    const auto send_many = [](channel& ch) -> task<void> {
      sender::batch together(ch.sender());
      for (int i = 0; i < 500; ++i) co_await ch.send(std::to_string(i));
    };
    beside sent(lp, send_many(p.client));
    for (int i = 0; i < 500; ++i) {
      const auto m = co_await p.server.recv();
      CHECK(m->text() == std::to_string(i));
    }
    CHECK((co_await sent.get()).has_value());
  });
}

TEST_CASE(
    "what a batch holds back is published when the loop goes to sleep, whatever the batch's owner waits for") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const int how : {0, 1, 2}) {
      CAPTURE(how);
      channel_pair p = co_await connected(lp);
      beside received(lp, p.server.recv());
      co_await let_park(lp);
      sender::batch together(p.client.sender());
      for (int round = 0; round < 2; ++round) {
        if (how == 0) co_await p.client.send("x");
        if (how == 1) p.client.try_send("x");
        if (how == 2) (co_await p.client.claim(1)).commit();
        co_await let_park(lp);
        if (round == 0) {
          CHECK(co_await ends_soon(received));
        } else {
          CHECK(p.server.try_recv());
        }
      }
    }
  });
}

// -- turns --

TEST_CASE("a coroutine that is always ready keeps nobody from receiving") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    scope others{lp};
    others.spawn(echo(std::move(p.server)));
    const auto talk = [](channel& ch) -> task<void> {
      for (int i = 0; i < 100; ++i) {
        co_await ch.send("ping");
        co_await ch.recv();
      }
    };
    beside talked(lp, talk(p.client));
    int turns = 0;
    while (!talked.ended() && ++turns < 100000) co_await yield();
    CHECK(talked.ended());
    MESSAGE("turns: " << turns);
  });
}

TEST_CASE("a coroutine that is always ready keeps no peer waiting for space that was released") {
  on_two_loops(
      [](loop&, channel ch) -> task<void> {
        bool ended = false;
        int received = 0;
        for (int turns = 0; !ended && turns < 20'000'000; ++turns) {
          for (auto m = ch.try_recv(); m || m.error() != errc::would_block; m = ch.try_recv()) {
            if (!m) {
              ended = true;
              break;
            }
            ++received;
          }
          co_await yield();
        }
        CHECK(ended);
        CHECK(received == 1000);
      },
      [](loop&, channel ch) -> task<void> {
        const auto bytes = patterned(2000, 1);
        for (int i = 0; i < 1000; ++i) co_await ch.send(bytes);
      },
      {}, {},
      [] {
        connect_options o;
        o.ring_bytes = 4096;
        return o;
      }());
}

TEST_CASE(
    "a flood on one channel starves neither another channel, nor a timer, nor a posted function") {
  std::atomic<bool> enough{false};
  constexpr std::uint64_t most = 20'000'000;
  std::uint64_t flood = 0;
  bool exchanged = false, timed = false, posted = false;
  on_two_loops(
      [&](loop& lp, channel ch) -> task<void> {
        channel_pair p = co_await connected(lp);
        const auto talk = [](channel here, channel there, bool& done) -> task<void> {
          for (int i = 0; i < 100; ++i) {
            co_await here.send("ping");
            co_await there.recv();
          }
          done = true;
        };
        const auto count_time = [](bool& done) -> task<void> {
          for (int i = 0; i < 10; ++i) co_await sleep_for(1ms);
          done = true;
        };
        scope others{lp};
        others.spawn(talk(std::move(p.server), std::move(p.client), exchanged));
        others.spawn(count_time(timed));
        std::thread poster([&] { lp.post([&] { posted = true; }); });
        while (const auto m = co_await ch.recv()) {
          ++flood;
          if (exchanged && timed && posted) enough = true;
        }
        poster.join();
      },
      [&](loop&, channel ch) -> task<void> {
        for (std::uint64_t n = 0; n < most && !enough; ++n) co_await ch.send("flood");
      },
      {}, {},
      [] {
        connect_options o;
        o.ring_bytes = 1 << 20;
        return o;
      }());
  CHECK(exchanged);
  CHECK(timed);
  CHECK(posted);
  CHECK(flood < most);
  MESSAGE("messages of the flood: " << flood);
}

// -- costs --

TEST_CASE("sending, receiving and claiming allocate nothing once the loop has warmed up") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    const auto answer = [](channel ch) -> task<void> {
      std::vector<std::byte> buffer(1000);
      while (const auto n = co_await ch.recv_into(buffer)) {
        claim c = co_await ch.claim(*n);
        std::memcpy(c.bytes().data(), buffer.data(), *n);
        c.commit();
        co_await ch.send("and another");
      }
    };
    scope server{lp};
    server.spawn(answer(std::move(p.server)));
    const auto bytes = patterned(1000, 1);
    std::size_t before = 0;
    for (int i = 0; i < 300; ++i) {
      if (i == 100) before = test::allocations;
      co_await p.client.send(std::span(bytes).first(static_cast<std::size_t>(i)));
      const auto first = co_await p.client.recv();
      const auto second = co_await as_result(p.client.recv());
      if (i % 10 == 0) co_await sleep_for(10us);
    }
    CHECK(test::allocations == before);
  });
}

TEST_CASE("the statistics tell what happened") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    const auto quiet = p.client.statistics();
    CHECK(quiet.messages_sent + quiet.messages_received + quiet.parks + quiet.bells_rung +
              quiet.ring_full_stalls ==
          0);
    beside received(lp, p.server.recv());
    co_await let_park(lp);
    CHECK(p.server.statistics().parks == 1);
    co_await p.client.send("12345");
    CHECK(p.client.statistics().bells_rung == 1);
    CHECK((co_await received.get()).has_value());
    for (int i = 0; i < 4; ++i) co_await p.client.send("12345");
    CHECK(p.client.statistics().bells_rung == 1);
    CHECK(p.client.statistics().bells_suppressed == 4);
    for (int i = 0; i < 4; ++i) co_await p.server.recv();
    CHECK(p.client.statistics().messages_sent == 5);
    CHECK(p.client.statistics().bytes_sent == 25);
    CHECK(p.server.statistics().messages_received == 5);
    CHECK(p.server.statistics().bytes_received == 25);
    CHECK(p.client.statistics().ring_full_stalls == 0);
  });
}

TEST_CASE("a send that waits for space counts as one stall, however often it was looked after") {
  loop lp(with(spin_policy::always));
  const auto stall = [](loop& on) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(on, 4096);
    const auto bytes = patterned(1000, 1);
    while (!p.client.try_send(bytes)) continue;
    const auto before = p.client.statistics().ring_full_stalls;
    beside sent(on, p.client.send(bytes));
    co_await sleep_for(1ms);
    CHECK_FALSE(sent.ended());
    while (p.server.try_recv()) continue;
    CHECK((co_await sent.get()).has_value());
    CHECK(p.client.statistics().ring_full_stalls == before + 1);
  };
  lp.run(stall(lp));
}

TEST_CASE("a coroutine type of one's own can await a channel") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    std::string got;
    const auto use = [](channel& ch, std::string& into) -> plain_coroutine {
      const auto m = co_await ch.recv();
      into = m->text();
      co_await ch.send("answer");
      const auto end = co_await as_result(ch.recv());
      if (end && !*end) into += ", end";
    };
    use(p.server, got);
    co_await let_park(lp);
    co_await p.client.send("question");
    CHECK((co_await p.client.recv())->text() == "answer");
    CHECK(got == "question");
    p.client.close();
    co_await let_park(lp);
    CHECK(got == "question, end");
  });
}

// -- a loop that never sleeps --

namespace {

/// Messages that are there when they are asked for, and the time of some work on them.
task<> be_flooded(channel_pair& by, std::chrono::microseconds work) {
  for (int i = 0; i < 20; ++i) {
    co_await by.client.send("flood");
    const auto m = co_await by.server.recv();
  }
  const auto until = std::chrono::steady_clock::now() + work;
  while (std::chrono::steady_clock::now() < until) {}
}

}  // namespace

TEST_CASE("a busy loop looks at its rings after each turn that was long, not after many") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair quiet = co_await connected(lp);
    channel_pair flooded = co_await connected(lp);
    scope others{lp};
    others.spawn(echo(std::move(quiet.server)));
    const auto talk = [](channel& ch) -> task<void> {
      for (int i = 0; i < 20; ++i) {
        co_await ch.send("ping");
        co_await ch.recv();
      }
    };
    beside talked(lp, talk(quiet.client));
    int turns = 0;
    while (!talked.ended() && ++turns < 1000) {
      co_await be_flooded(flooded, 10us);
      co_await yield();
    }
    // There and back 20 times: every message may wait for the turn that was going on, and one more.
    CHECK(turns <= 20 * 2 * 2 + 10);
  });
}

}  // TEST_SUITE("channel_wake")
