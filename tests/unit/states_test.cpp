// SPDX-License-Identifier: BSL-1.0
// Public objects in every state: made by default, moved from, closed, after a failure, on another
// loop than their own, and after their loop. Each member gives an error or a plain value, and
// nothing hangs.
#include <ringbell/ringbell.hpp>

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/channel_pair.hpp"
#include "support/service.hpp"

TEST_SUITE("states") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

/// What an operation ends with.
template <class A>
std::error_code error_of_awaiting(loop& lp, A operation) {
  return lp
      .run([](A what) -> task<result<int>> {
        try {
          co_await std::move(what);
        } catch (const std::system_error& e) {
          co_return e.code();
        }
        co_return 0;
      }(std::move(operation)))
      .error();
}

/// Every member of a channel of which each use has to fail with `expected`, or to give nothing.
void walk(loop& lp, channel& ch, errc expected) {
  std::array<std::byte, 8> buffer{};
  const std::array<std::span<const std::byte>, 1> pieces{buffer};
  CHECK(error_of_awaiting(lp, ch.send("text")) == expected);
  CHECK(error_of_awaiting(lp, ch.send(buffer)) == expected);
  CHECK(error_of_awaiting(lp, ch.send(std::string("text"))) == expected);
  CHECK(error_of_awaiting(lp, ch.send_gather(pieces)) == expected);
  CHECK(error_of_awaiting(lp, ch.claim(8)) == expected);
  CHECK(error_of_awaiting(lp, ch.recv()) == expected);
  CHECK(error_of_awaiting(lp, ch.recv_into(buffer)) == expected);
  CHECK(error_of_awaiting(lp, timeout(1h, ch.recv())) == expected);
}

/// Those that are no operations, and must only not do harm.
void walk_values(channel& ch) {
  { const sender::batch together(ch.sender()); }
  (void)ch.max_claim();
  (void)ch.max_message();
  (void)ch.peer();
  (void)ch.woken_by();
  (void)ch.wakes_peer_by();
  (void)ch.statistics();
  ch.close();
  ch.close();
  ch.sender().close();
  ch.receiver().close();
}

void walk_without_waiting(channel& ch, errc expected) {
  std::array<std::byte, 8> buffer{};
  const std::array<std::span<const std::byte>, 1> pieces{buffer};
  CHECK(ch.try_send("text") == expected);
  CHECK(ch.try_send(buffer) == expected);
  CHECK(ch.try_send_gather(pieces) == expected);
  CHECK(ch.try_claim(8).error() == expected);
  CHECK(ch.try_recv().error() == expected);
}

void walk(loop& lp, const client& c, errc expected) {
  CHECK(error_of_awaiting(lp, c.call(1, "text")) == expected);
  CHECK(error_of_awaiting(lp, c.call(1, "text", 1h)) == expected);
  CHECK(error_of_awaiting(lp, c.call(1, std::string("text"))) == expected);
  CHECK(error_of_awaiting(lp, c.call_with(1, 5)) == expected);
  CHECK(error_of_awaiting(lp, timeout(1h, c.call(1))) == expected);
}

void walk(loop& lp, call_stream& s, errc expected) {
  CHECK(error_of_awaiting(lp, s.write("text")) == expected);
  CHECK(error_of_awaiting(lp, s.write(std::string("text"))) == expected);
  CHECK(error_of_awaiting(lp, s.write_value(5)) == expected);
  CHECK(error_of_awaiting(lp, s.read()) == expected);
  CHECK(error_of_awaiting(lp, s.reply()) == expected);
}

void walk_values(client& c) {
  CHECK_FALSE(c.connected());
  CHECK(c.calls() == 0);
  CHECK(c.max_message() == 0);
  (void)c.peer();
  (void)c.statistics();
  c.close();
  c.close();
}

channel_pair pair_on(loop& lp) { return lp.run(connected(lp)); }

task<> nothing() { co_return; }

}  // namespace

TEST_CASE("a channel that was never connected, or was moved from, is closed") {
  loop lp;
  channel none;
  CHECK_FALSE(static_cast<bool>(none));
  walk(lp, none, errc::closed);
  walk_without_waiting(none, errc::closed);
  walk_values(none);
  auto [out, in] = std::move(none).split();
  CHECK_FALSE(static_cast<bool>(out));
  CHECK_FALSE(static_cast<bool>(in));

  channel_pair p = pair_on(lp);
  const channel taken = std::move(p.client);
  walk(lp, p.client, errc::closed);  // NOLINT(bugprone-use-after-move)
  walk_without_waiting(p.client, errc::closed);
  walk_values(p.client);
}

TEST_CASE("a channel that was closed says so, and one whose peer has gone as well") {
  loop lp;
  channel_pair p = pair_on(lp);
  p.client.close();
  walk(lp, p.client, errc::closed);
  walk_without_waiting(p.client, errc::closed);
  walk_values(p.client);
  std::error_code error;
  for (int i = 0; i < 1'000'000 && !error; ++i)
    error = error_of_awaiting(lp, p.server.send("text"));  // until it looks at what the peer says
  CHECK(error == errc::peer_closed);
  CHECK_FALSE(lp.run(
      [](channel& ch) -> task<bool> { co_return (co_await ch.recv()).has_value(); }(p.server)));
  walk_values(p.server);
}

TEST_CASE("empty messages, claims and payloads have no bytes") {
  message m;
  m.release();
  CHECK(m.empty());
  CHECK(m.text().empty());
  CHECK_FALSE(m.owns_bytes());
  claim c;
  c.commit();
  c.commit(8);
  c.abandon();
  CHECK(c.bytes().empty());
  CHECK_FALSE(static_cast<bool>(c));
  payload p;
  payload q = std::move(p);
  CHECK(p.empty());  // NOLINT(bugprone-use-after-move)
  CHECK(p.metadata().empty());
  CHECK(q.text().empty());
  CHECK_THROWS_AS((void)q.as<int>(), std::system_error);
  reply r("text");
  const reply taken = std::move(r);
  CHECK(detail::access::size_of(r) == 0);  // NOLINT(bugprone-use-after-move)
  CHECK(detail::access::size_of(taken) == 4);
}

TEST_CASE("a task without a coroutine is an error for whoever awaits, runs or spawns it") {
  loop lp;
  task<> t = nothing();
  const task<> taken = std::move(t);
  CHECK_THROWS_AS(lp.run(std::move(t)), std::logic_error);  // NOLINT(bugprone-use-after-move)
  CHECK_THROWS_AS(lp.spawn(std::move(t)), std::logic_error);
  scope all(lp);
  CHECK_THROWS_AS(all.spawn(std::move(t)), std::logic_error);
  CHECK(all.size() == 0);
  CHECK_THROWS_AS(lp.run([](task<> none) -> task<> { co_await std::move(none); }(std::move(t))),
                  std::logic_error);
  CHECK_THROWS_AS(lp.run(when_all(std::move(t), nothing())), std::logic_error);
}

TEST_CASE("a listener that was moved from is closed") {
  loop lp;
  const temporary_folder folder;
  listener l = listener::bind(lp, folder / "listener");
  const listener taken = std::move(l);
  CHECK(l.path().empty());  // NOLINT(bugprone-use-after-move)
  CHECK(l.clients() == 0);
  CHECK(error_of_awaiting(lp, l.accept()) == errc::closed);
  CHECK(taken.path() == folder / "listener");
}

TEST_CASE("a client that was never connected, was moved from, or closed, is closed") {
  loop lp;
  client none;
  CHECK_FALSE(static_cast<bool>(none));
  walk(lp, none, errc::closed);
  call_stream no_stream = none.open(1, "text");
  walk(lp, no_stream, errc::closed);
  no_stream.finish();
  walk_values(none);

  served s(lp, [](request r) -> task<reply> { co_return reply(r.bytes()); });
  client c = lp.run(s.connected());
  call_stream open = c.open(1);
  c.close();
  walk(lp, c, errc::closed);
  walk(lp, open, errc::closed);
  walk_values(c);
  call_stream taken = std::move(open);
  walk(lp, open, errc::closed);  // NOLINT(bugprone-use-after-move)
  open.finish();
  client moved = std::move(c);
  walk(lp, c, errc::closed);  // NOLINT(bugprone-use-after-move)
  walk_values(c);
}

TEST_CASE("a request that was moved from has nothing in it") {
  loop lp;
  served s(lp, [](request r) -> task<reply> {
    const request taken = std::move(r);
    CHECK(r.method() == 0);  // NOLINT(bugprone-use-after-move)
    CHECK(r.text().empty());
    CHECK(r.metadata().empty());
    CHECK(r.stop_requested());
    CHECK_FALSE(r.deadline());
    (void)r.peer();
    const auto write = co_await as_result(r.write("text"));
    CHECK(write.error() == errc::closed);
    const auto read = co_await as_result(r.read());
    CHECK(read.error() == errc::closed);
    co_return reply(taken.text());
  });
  client c = lp.run(s.connected());
  const payload answer =
      lp.run([](client& of) -> task<payload> { co_return co_await of.call(1, "text"); }(c));
  CHECK(answer.text() == "text");
}

TEST_CASE("a server that was moved from, or has stopped, has no clients") {
  loop lp;
  const temporary_folder folder;
  server s(lp, folder / "server", [](request) -> task<reply> { co_return reply(); });
  server taken = std::move(s);
  CHECK(s.path().empty());  // NOLINT(bugprone-use-after-move)
  CHECK(s.clients() == 0);
  CHECK(lp.run(s.stop(1s)));
  CHECK(lp.run(taken.stop(1s)));
  CHECK(lp.run(taken.stop(1s)));
  CHECK(taken.clients() == 0);
}

TEST_CASE("what belongs to one loop cannot be awaited on another") {
  loop own;
  loop other;
  channel_pair p = pair_on(own);
  walk(other, p.client, errc::wrong_loop);
  REQUIRE_FALSE(p.server.try_send("there is something to receive"));
  CHECK(error_of_awaiting(other, p.client.recv()) == errc::wrong_loop);

  const temporary_folder folder;
  listener l = listener::bind(own, folder / "listener");
  CHECK(error_of_awaiting(other, l.accept()) == errc::wrong_loop);
  CHECK(error_of_awaiting(other, connect(own, folder / "listener")) == errc::wrong_loop);
  CHECK(error_of_awaiting(other, client::connect(own, folder / "listener")) == errc::wrong_loop);

  served s(own, [](request r) -> task<reply> {
    co_await sleep_for(1h);
    co_return reply(r.bytes());
  });
  client c = own.run(s.connected());
  walk(other, c, errc::wrong_loop);
  call_stream stream = c.open(1);
  CHECK(error_of_awaiting(other, stream.read()) == errc::wrong_loop);
  CHECK(error_of_awaiting(other, stream.reply()) == errc::wrong_loop);
  CHECK(error_of_awaiting(other, s.server().stop(1s)) == errc::wrong_loop);

  scope all(own);
  all.spawn(nothing());
  CHECK(error_of_awaiting(other, all.join()) == errc::wrong_loop);

  // Nothing of that has done harm.
  const auto m = own.run([](channel& ch) -> task<std::string> {
    const auto got = co_await ch.recv();
    co_return std::string(got->text());
  }(p.client));
  CHECK(m == "there is something to receive");
  CHECK_FALSE(error_of_awaiting(own, all.join()));
}

TEST_CASE("what outlives its loop is closed, and whoever is at the other end sees that") {
  loop other;
  const temporary_folder folder;
  std::optional<loop> own(std::in_place);
  channel_pair p = pair_on(*own);
  listener l = listener::bind(*own, folder / "listener");
  server s(*own, folder / "server", [](request r) -> task<reply> {
    co_await sleep_for(1h);
    co_return reply(r.bytes());
  });
  client c = own->run(client::connect(*own, folder / "server"));
  call_stream stream = c.open(1, "text");
  scope all(*own);
  std::optional<channel> far_end;
  {
    // Connected to a loop that goes on.
    listener there = listener::bind(other, folder / "there");
    scope connecting(*own);
    std::optional<channel> near_end;
    connecting.spawn([](loop& lp, std::string path, std::optional<channel>& to) -> task<> {
      to.emplace(co_await connect(lp, path));
    }(*own, folder / "there", near_end));
    scope accepting(other);
    accepting.spawn([](listener& from, std::optional<channel>& to) -> task<> {
      to.emplace(co_await from.accept());
    }(there, far_end));
    for (int turns = 0; (!near_end || !far_end) && turns < 10000; ++turns) {
      own->run([]() -> task<> { co_await sleep_for(1ms); }());
      other.run([]() -> task<> { co_await sleep_for(1ms); }());
    }
    REQUIRE(near_end);
    REQUIRE(far_end);
    p.client = *std::move(near_end);
  }
  message kept;
  claim space;
  own->run([](channel& ch, message& m, claim& c2) -> task<> {
    (void)co_await as_result(ch.recv());
    m = message();
    auto claimed = co_await as_result(ch.claim(8));
    if (claimed) c2 = *std::move(claimed);
  }(p.server, kept, space));
  all.spawn([](channel& ch) -> task<> { (void)co_await as_result(ch.recv()); }(p.client));
  own->run(nothing());
  own.reset();

  CHECK_FALSE(other.run(
      [](channel& ch) -> task<bool> { co_return (co_await ch.recv()).has_value(); }(*far_end)));
  walk(other, p.client, errc::closed);
  walk_without_waiting(p.client, errc::closed);
  walk_values(p.client);
  walk_values(p.server);
  CHECK(error_of_awaiting(other, l.accept()) == errc::closed);
  CHECK(l.path() == folder / "listener");
  CHECK(l.clients() == 0);
  walk(other, c, errc::closed);
  walk_values(c);
  CHECK(error_of_awaiting(other, stream.reply()));
  CHECK(error_of_awaiting(other, stream.read()));
  CHECK(error_of_awaiting(other, stream.write("text")));
  CHECK(other.run(s.stop(1s)));
  CHECK(s.clients() == 0);
  CHECK(s.path() == folder / "server");
  CHECK(all.size() == 0);
  CHECK_THROWS_AS(all.spawn(nothing()), std::system_error);
  CHECK_FALSE(error_of_awaiting(other, all.join()));
  space.commit();
}

TEST_CASE("a server outlives its pool") {
  loop lp;
  const temporary_folder folder;
  std::optional<loop_pool> pool(std::in_place, 2);
  server s(lp, *pool, folder / "server",
           [](request r) -> task<reply> { co_return reply(r.bytes()); });
  client c = lp.run(client::connect(lp, folder / "server"));
  CHECK(lp.run([](client& of) -> task<std::string> {
    co_return std::string((co_await of.call(1, "text")).text());
  }(c)) == "text");
  pool.reset();
  CHECK(error_of_awaiting(lp, c.call(1, "text")) == errc::peer_closed);
  CHECK(lp.run(s.stop(1s)));
  CHECK(s.clients() == 0);
}

}  // TEST_SUITE("states")
