// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/channel.hpp>
#include <ringbell/coro/when_any.hpp>

#include <doctest/doctest.h>

#include <system_error>

#include <string>

#include <array>
#include <vector>

#include "support/applies.hpp"
#include "support/channel_pair.hpp"
#include "support/child_process.hpp"
#include "support/full_ring.hpp"
#include "support/pattern.hpp"

TEST_SUITE("channel") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<void> echo(channel ch) {
  while (const auto m = co_await ch.recv()) co_await ch.send(m->bytes());
}

}  // namespace

// -- messages --

TEST_CASE("a server that spawns a session for each client it accepts echoes to all of them") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    const std::string path = folder / "echo";
    const auto serve = [](loop& on, std::string where) -> task<void> {
      scope clients{on};
      auto listener = listener::bind(on, where);
      for (;;) clients.spawn(echo(co_await listener.accept()));
    };
    const auto ask = [](loop& on, std::string where, std::string text) -> task<std::string> {
      channel ch = co_await connect(on, where);
      co_await ch.send(text);
      const auto answer = co_await ch.recv();
      co_return answer ? std::string(answer->text()) : "nothing";
    };
    scope server{lp};
    server.spawn(serve(lp, path));
    const auto [one, two, three] =
        co_await when_all(ask(lp, path, "one"), ask(lp, path, "two"), ask(lp, path, "three"));
    CHECK(one == "one");
    CHECK(two == "two");
    CHECK(three == "three");
  });
}

TEST_CASE("a send keeps the bytes of a temporary until it is awaited") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    const auto long_text = [](char c) { return std::string(1000, c); };
    auto text = p.client.send(long_text('a'));
    auto constant = p.client.sender().send(
        std::as_const(*std::make_unique<std::string>(long_text('b'))).substr(1));
    auto bytes = p.client.send(std::vector<std::byte>(1000, std::byte{'c'}));
    auto array = p.client.send([] {
      std::array<std::byte, 1000> all{};
      all.fill(std::byte{'d'});
      return all;
    }());
    const std::string first = long_text('e');
    auto pieces = p.client.send_gather(
        std::vector<std::span<const std::byte>>{detail::as_bytes(first), detail::as_bytes(first)});
    co_await std::move(text);
    co_await std::move(constant);
    co_await std::move(bytes);
    co_await std::move(array);
    co_await std::move(pieces);
    for (const std::string& expected : {long_text('a'), long_text('b').substr(1), long_text('c'),
                                        long_text('d'), long_text('e') + long_text('e')}) {
      const auto m = co_await p.server.recv();
      REQUIRE(m);
      CHECK(m->text() == expected);
    }
  });
}

TEST_CASE("messages of every size come back as they were sent") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const std::uint64_t ring : {4096, 65536}) {
      channel_pair p = co_await connected_by_rings_of(lp, ring);
      scope server{lp};
      server.spawn(echo(std::move(p.server)));
      channel& ch = p.client;
      const std::size_t limit = ch.max_claim();
      const std::vector<std::size_t> sizes{0,         1,    7,        8,         9,     95,
                                           96,        97,   1000,     limit - 1, limit, limit + 1,
                                           2 * limit, ring, ring + 1, 3 << 20};
      for (const std::size_t size : sizes) {
        CAPTURE(size);
        const auto bytes = patterned(size, size);
        co_await ch.send(bytes);
        const auto m = co_await ch.recv();
        REQUIRE(m);
        CHECK(m->size() == size);
        CHECK(matches(m->bytes(), size));
      }
    }
  });
}

TEST_CASE("the pieces of a gathered message arrive as one message, whole or in fragments") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    const auto bytes = patterned(10000, 5);
    for (const std::size_t size : {std::size_t{300}, bytes.size()}) {
      const auto all = std::span(std::as_const(bytes)).first(size);
      const std::array<std::span<const std::byte>, 4> pieces{
          all.first(1), all.subspan(1, 0), all.subspan(1, size / 2), all.subspan(1 + size / 2)};
      beside sent(lp, p.client.send_gather(pieces));
      const auto m = co_await p.server.recv();
      REQUIRE(m);
      CHECK(m->size() == size);
      CHECK(matches(m->bytes(), 5));
      CHECK((co_await sent.get()).has_value());
    }
    const std::span<const std::byte> small = std::span(bytes).first(10);
    CHECK_FALSE(p.client.try_send_gather(gather_list(&small, 1)));
    CHECK(p.server.try_recv()->size() == 10);
  });
}

TEST_CASE("a message longer than the peer takes is refused at the sender") {
  on_a_loop([](loop& lp) -> task<void> {
    listener_options of_server;
    of_server.max_message = 1000;
    channel_pair p = co_await connected(lp, of_server);
    CHECK(p.client.max_message() == 1000);
    CHECK(p.client.max_claim() == 1000);
    const auto bytes = patterned(1001, 0);
    const auto sent = co_await as_result(p.client.send(bytes));
    CHECK(sent.error() == errc::message_too_large);
    CHECK(p.client.try_send(bytes) == errc::message_too_large);
    CHECK((co_await as_result(p.client.claim(1001))).error() == errc::message_too_large);
    co_await p.client.send("still in order");
    CHECK((co_await p.server.recv())->text() == "still in order");
  });
}

TEST_CASE("what is too long says how long it may be") {
  on_a_loop([](loop& lp) -> task<void> {
    listener_options of_server;
    of_server.max_message = 1000;
    channel_pair p = co_await connected(lp, of_server);
    const auto bytes = patterned(1001, 0);
    std::string said;
    const auto note = [&](const std::exception& e) { said += e.what(); };
    try {
      co_await p.client.send(bytes);
    } catch (const std::system_error& e) {
      note(e);
    }
    try {
      (void)co_await p.client.claim(1002);
    } catch (const std::system_error& e) {
      note(e);
    }
    co_await p.server.send(bytes);
    std::array<std::byte, 77> small;
    try {
      co_await p.client.recv_into(small);
    } catch (const std::system_error& e) {
      note(e);
    }
    for (const char* part : {"a message of 1001 bytes, where at most 1000 are allowed",
                             "a claim of 1002 bytes, where at most 1000 are allowed",
                             "does not fit the buffer of 77 bytes"})
      CHECK_MESSAGE(said.find(part) != std::string::npos, said);
  });
}

TEST_CASE("recv_into copies, and leaves a message that does not fit where it is") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    std::vector<std::byte> small(99), large(20000);
    for (const std::size_t size : {std::size_t{100}, std::size_t{20000}}) {
      const auto bytes = patterned(size, size);
      beside sent(lp, p.client.send(bytes));
      const auto too_small = co_await as_result(p.server.recv_into(small));
      CHECK(too_small.error() == errc::message_too_large);
      const auto fits = co_await p.server.recv_into(large);
      REQUIRE(fits);
      CHECK(*fits == size);
      CHECK(matches(std::span(large).first(size), size));
      CHECK((co_await sent.get()).has_value());
    }
    p.client.close();
    CHECK_FALSE(co_await p.server.recv_into(large));
  });
}

TEST_CASE("try_send and try_recv say would_block instead of waiting") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    CHECK(p.server.try_recv().error() == errc::would_block);
    const int sent = fill_ring(p.client, 500);
    CHECK(sent > 3);
    CHECK(p.client.try_send(patterned(500, 1)) == errc::would_block);
    CHECK(p.client.try_claim(500).error() == errc::would_block);
    CHECK(p.client.try_send(patterned(p.client.max_claim() + 1, 1)) == errc::message_too_large);
    int received = 0;
    while (p.server.try_recv()) ++received;
    CHECK(received == sent);
    CHECK_FALSE(p.client.try_send("again"));
    co_return;
  });
}

TEST_CASE("a send into a full ring waits, and goes on when the peer gives space back") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    const int filled = fill_ring(p.client, 500);
    const auto bytes = patterned(2000, 2);
    beside sent(lp, p.client.send(bytes));
    co_await let_park(lp);
    CHECK_FALSE(sent.ended());
    for (int i = 0; i < filled; ++i) CHECK((co_await p.server.recv())->size() == 500);
    const auto last = co_await p.server.recv();
    CHECK(matches(last->bytes(), 2));
    CHECK((co_await sent.get()).has_value());
  });
}

// -- fork --

TEST_CASE(
    "a forked child that destroys its copies of a channel and its messages leaves the parent's as they are" *
    needs_fork * not_on(kqueue_hosts, "a kqueue is not inherited by a forked child")) {
  on_a_loop([](loop& lp) -> task<void> {
    for (const auto kind :
         {sys::bell_kind::eventfd, sys::bell_kind::socket, sys::bell_kind::futex}) {
      if (kind == sys::bell_kind::futex && !lp.can_wait_on_futex()) continue;
      CAPTURE(static_cast<int>(kind));
      listener_options of_server;
      connect_options of_client;
      of_client.bells = of_server.bells = sys::bell_bit(kind);
      channel_pair p = co_await connected(lp, of_server, of_client);
      co_await p.client.send("held");
      std::optional<message> held = co_await p.server.recv();
      beside received(lp, p.server.recv());
      co_await let_park(lp);
      const auto rung = p.client.statistics().bells_rung;

      child_process child([&] {
        { const channel client = std::move(p.client), server = std::move(p.server); }
        held.reset();
        return 0;
      });
      CHECK(child.wait() == 0);
      co_await let_park(lp);
      CHECK_FALSE(received.ended());
      CHECK(p.client.statistics().bells_rung == rung);

      co_await p.client.send("hello");
      auto m = co_await received.get();
      REQUIRE(m.has_value());
      REQUIRE(*m);
      CHECK((*m)->text() == "hello");
      CHECK(held->text() == "held");
      beside answered(lp, p.client.recv());
      co_await let_park(lp);
      co_await p.server.send("welcome");
      CHECK((*co_await answered.get())->text() == "welcome");
      p.client.close();
      CHECK_FALSE(co_await p.server.recv());
    }
  });
}

// -- halves, moves --

TEST_CASE("the halves of a channel can go in any order, and the connection ends with the second") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool sender_first : {false, true}) {
      CAPTURE(sender_first);
      channel_pair p = co_await connected(lp);
      auto [to, from] = std::move(p.client).split();
      CHECK_FALSE(p.client);
      co_await to.send("hello");
      CHECK((co_await p.server.recv())->text() == "hello");
      if (sender_first) {
        to = sender();
        CHECK_FALSE(co_await p.server.recv());
        co_await p.server.send("for the receiver");
        CHECK((co_await from.recv())->text() == "for the receiver");
        from = receiver();
      } else {
        from = receiver();
        co_await to.send("from the sender");
        CHECK((co_await p.server.recv())->text() == "from the sender");
        to = sender();
        CHECK_FALSE(co_await p.server.recv());
      }
      auto sent = co_await as_result(p.server.send("x"));
      while (sent) {  // until the system has told of the hang-up
        co_await yield();
        sent = co_await as_result(p.server.send("x"));
      }
      CHECK(sent.error() == errc::peer_closed);
    }
  });
}

TEST_CASE("waits go on when their channel moves") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected_by_rings_of(lp, 4096);
    const int filled = fill_ring(p.client, 500);
    beside received(lp, p.client.recv());
    beside sent(lp, p.client.send("after the move"));
    co_await let_park(lp);
    channel moved = std::move(p.client);
    channel again;
    again = std::move(moved);
    co_await p.server.send("found you");
    const auto m = co_await received.get();
    CHECK((*m)->text() == "found you");
    for (int i = 0; i < filled; ++i) co_await p.server.recv();
    CHECK((co_await p.server.recv())->text() == "after the move");
    CHECK((co_await sent.get()).has_value());
  });
}

TEST_CASE("a channel may end in the expression that has awaited it") {
  on_a_loop([](loop& lp) -> task<void> {
    const auto end_with = [](channel& ch, bool ok) { return ch = channel(), ok; };
    channel_pair p = co_await connected(lp);
    co_await p.client.send("hello");
    const bool received = end_with(p.server, (co_await p.server.recv()).has_value());
    CHECK(received);
    channel_pair q = co_await connected(lp);
    const bool sent = end_with(q.client, (co_await as_result(q.client.send("hello"))).has_value());
    CHECK(sent);
    channel_pair r = co_await connected(lp);
    const bool claimed = end_with(r.client, (co_await as_result(r.client.claim(10))).has_value());
    CHECK(claimed);
    std::vector<std::byte> buffer(10);
    co_await q.server.recv();
    channel_pair s = co_await connected(lp);
    co_await s.client.send("hello");
    const bool copied = end_with(s.server, (co_await s.server.recv_into(buffer)).has_value());
    CHECK(copied);
  });
}

// -- who, what --

TEST_CASE("both ends know who is at the other one" * needs_eventfd) {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    CHECK(p.server.peer().process == sys::current_process());
    CHECK(p.client.peer().user == sys::current_user());
    CHECK(p.server.woken_by() == p.client.wakes_peer_by());
    CHECK(p.client.woken_by() == p.server.wakes_peer_by());
    CHECK(p.client.woken_by() == sys::bell_kind::eventfd);
  });
}

TEST_CASE("what a wait throws has the code and a text that says what to do") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    p.client.close();
    std::string text;
    std::error_code code;
    try {
      co_await p.client.send("x");
    } catch (const std::system_error& e) {
      code = e.code();
      text = e.what();
    }
    CHECK(code == errc::closed);
    CHECK(code == std::errc::broken_pipe);
    CHECK(text.find("this side has closed") != std::string::npos);
  });
}

TEST_CASE("one task waits on two channels and loses no message of either") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair a = co_await connected(lp);
    channel_pair b = co_await connected(lp);
    const auto send_all = [](channel ch, int n) -> task<void> {
      for (int i = 0; i < n; ++i) {
        co_await ch.send(std::to_string(i));
        if (i % 7 == 0) co_await sleep_for(1us);
      }
    };
    constexpr int messages = 2000;
    scope senders{lp};
    senders.spawn(send_all(std::move(a.client), messages));
    senders.spawn(send_all(std::move(b.client), messages));
    int next[2] = {0, 0};
    bool in_order = true;
    while (next[0] < messages || next[1] < messages) {
      if (next[0] == messages || next[1] == messages) {
        const int left = next[0] == messages ? 1 : 0;
        const auto m = co_await (left == 0 ? a : b).server.recv();
        in_order &= m->text() == std::to_string(next[left]++);
        continue;
      }
      auto first = co_await when_any(a.server.recv(), b.server.recv());
      const int which = static_cast<int>(first.index());
      const auto m = which == 0 ? std::move(first.get<0>()) : std::move(first.get<1>());
      in_order &= m->text() == std::to_string(next[which]++);
    }
    CHECK(in_order);
    co_await senders.join();
  });
}

}  // TEST_SUITE("channel")
