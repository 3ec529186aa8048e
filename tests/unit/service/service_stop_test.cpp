// SPDX-License-Identifier: BSL-1.0
// How a service stops, and how its clients find the next one.
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "support/applies.hpp"
#include "support/child_process.hpp"
#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("service_stop") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

client_options reconnecting() {
  client_options options;
  options.reconnect = reconnect_policy::with_backoff;
  return options;
}

task<reply> echo(request r) { co_return reply(r.bytes()); }

}  // namespace

TEST_CASE(
    "requests under way finish, new ones are refused, clients are told, and the name is free at once" *
    not_on(windows, "the name of a pipe is in use as long as it has a client")) {
  on_a_loop([](loop& lp) -> task<void> {
    event_flag go;
    int begun = 0;
    served s(lp, [&](request r) -> task<reply> {
      ++begun;
      co_await go.wait();
      co_return reply(r.bytes());
    });
    client busy = co_await s.connected();
    client idle = co_await s.connected();
    client moving = co_await s.connected(reconnecting());
    beside under_way(lp, busy.call(1, "under way"));
    beside moving_call(lp, moving.call(1, "before"));
    CHECK(co_await holds_soon([&] { return begun == 2; }));
    beside stopping(lp, s.server().stop(patience));
    CHECK(co_await holds_soon([&] { return !idle.connected() && !busy.connected(); }));
    const auto refused = co_await as_result(busy.call(1));
    CHECK(refused.error() == errc::refused_stopping);
    const auto refused_too = co_await as_result(idle.call(1));
    CHECK(refused_too.error() == errc::refused_stopping);
    ringbell::server successor(lp, s.path(), echo);
    const payload p = co_await timeout(patience, moving.call(1, "successor"));
    CHECK(p.text() == "successor");
    CHECK(successor.clients() == 1);
    CHECK_FALSE(stopping.ended());
    go.set();
    const auto stopped = co_await timeout(patience, stopping.get());
    REQUIRE(stopped.has_value());
    CHECK(*stopped);
    const auto finished = co_await under_way.get();
    REQUIRE(finished.has_value());
    CHECK(finished->text() == "under way");
    const auto before = co_await moving_call.get();
    REQUIRE(before.has_value());
    CHECK(before->text() == "before");
  });
}

TEST_CASE(
    "a stop under load loses no request: each is answered, or refused as one that was not begun") {
  on_a_loop([](loop& lp) -> task<void> {
    for (int turns = 0; turns < 40; ++turns) {
      CAPTURE(turns);
      int begun = 0;
      int answered = 0;
      int refused = 0;
      served s(lp, [&](request r) -> task<reply> {
        ++begun;
        if (begun % 3 == 0) co_await yield();
        co_return reply(r.bytes());
      });
      scope load(lp);
      const auto call_on = [&](client c) -> task<void> {
        for (;;) {
          const auto got = co_await as_result(c.call(1, "x"));
          if (!got) {
            CHECK(got.error() == errc::refused_stopping);
            ++refused;
            co_return;
          }
          ++answered;
        }
      };
      for (int i = 0; i < 4; ++i) {
        client c = co_await s.connected();
        load.spawn(call_on(c));
        load.spawn(call_on(std::move(c)));
      }
      for (int i = 0; i < turns; ++i) co_await yield();
      task<bool> stopping = s.server().stop(patience);
      CHECK(co_await std::move(stopping));
      co_await timeout(patience, load.join());
      CHECK(begun == answered);
      CHECK(refused == 8);
    }
  });
}

TEST_CASE("when the grace is over handlers are asked to stop, and may answer with that") {
  on_a_loop([](loop& lp) -> task<void> {
    std::optional<std::error_code> seen;
    bool begun = false;
    served s(lp, [&](request) -> task<reply> {
      begun = true;
      const auto slept = co_await as_result(sleep_for(1h));
      seen = slept.error();
      co_return reply();
    });
    client c = co_await s.connected();
    beside calling(lp, error_of(c.call(1)));
    CHECK(co_await holds_soon([&] { return begun; }));
    task<bool> stopping = s.server().stop(5ms);
    CHECK_FALSE(co_await timeout(patience, std::move(stopping)));
    REQUIRE(seen);
    CHECK(*seen == errc::cancelled);
    const auto got = co_await timeout(patience, calling.get());
    REQUIRE(got.has_value());
    CHECK(got->first == errc::refused_stopping);
    CHECK(s.server().clients() == 0);
  });
}

TEST_CASE(
    "handlers that do not stop when asked are destroyed, and their calls end with peer_closed") {
  on_a_loop([](loop& lp) -> task<void> {
    int alive = 0;
    event_flag never_set;
    served s(lp, [&](request) -> task<reply> {
      const counted here(alive);
      co_await detail::adopt_stop_token(inplace_stop_token());
      co_await never_set.wait();
      co_return reply();
    });
    client c = co_await s.connected();
    beside calling(lp, c.call(1));
    CHECK(co_await holds_soon([&] { return alive == 1; }));
    task<bool> stopping = s.server().stop(1ms);
    CHECK_FALSE(co_await timeout(patience, std::move(stopping)));
    CHECK(alive == 0);
    const auto got = co_await timeout(patience, calling.get());
    CHECK(got.error() == errc::peer_closed);
  });
}

TEST_CASE(
    "a stop that is cancelled asks the handlers to stop at once, and gives them their last moment") {
  on_a_loop([](loop& lp) -> task<void> {
    bool begun = false;
    bool ended = false;
    served s(lp, [&](request) -> task<reply> {
      begun = true;
      const auto slept = co_await as_result(sleep_for(1h));
      CHECK(slept.error() == errc::cancelled);
      co_await detail::adopt_stop_token(inplace_stop_token());
      for (int i = 0; i < 10; ++i) co_await yield();
      ended = true;
      co_return reply();
    });
    client c = co_await s.connected();
    beside calling(lp, error_of(c.call(1)));
    CHECK(co_await holds_soon([&] { return begun; }));
    beside stopping(lp, s.server().stop(1h));
    co_await settle();
    CHECK_FALSE(stopping.ended());
    stopping.request_stop();
    const auto stopped = co_await timeout(patience, stopping.get());
    REQUIRE(stopped.has_value());
    CHECK_FALSE(*stopped);
    CHECK(ended);
    (void)co_await timeout(patience, calling.get());
  });
}

TEST_CASE("a second stop, with less grace, ends both") {
  on_a_loop([](loop& lp) -> task<void> {
    bool begun = false;
    served s(lp, [&](request) -> task<reply> {
      begun = true;
      co_await sleep_for(1h);
      co_return reply();
    });
    client c = co_await s.connected();
    beside calling(lp, error_of(c.call(1)));
    CHECK(co_await holds_soon([&] { return begun; }));
    beside first(lp, s.server().stop(1h));
    co_await settle();
    task<bool> second = s.server().stop(1ms);
    CHECK_FALSE(co_await timeout(patience, std::move(second)));
    const auto stopped = co_await timeout(patience, first.get());
    CHECK(stopped.has_value());
    (void)co_await timeout(patience, calling.get());
    task<bool> third = s.server().stop(1ms);
    CHECK(co_await timeout(patience, std::move(third)));
  });
}

TEST_CASE("a stop that was cancelled may be asked for again, and ends in its grace") {
  on_a_loop([](loop& lp) -> task<void> {
    event_flag never_set;
    bool begun = false;
    served s(lp, [&](request) -> task<reply> {
      begun = true;
      co_await detail::adopt_stop_token(inplace_stop_token());
      co_await never_set.wait();
      co_return reply();
    });
    client c = co_await s.connected();
    beside calling(lp, c.call(1));
    CHECK(co_await holds_soon([&] { return begun; }));
    beside first(lp, s.server().stop(1h));
    co_await settle();
    first.request_stop();
    task<bool> second = s.server().stop(1h);
    CHECK_FALSE(co_await timeout(patience, std::move(second)));
    CHECK((co_await timeout(patience, first.get())).has_value());
    const auto got = co_await timeout(patience, calling.get());
    CHECK(got.error() == errc::peer_closed);
  });
}

TEST_CASE("a handler may stop its own server, which ends the handler when the grace is over") {
  on_a_loop([](loop& lp) -> task<void> {
    std::optional<served> s;
    s.emplace(lp, [&](request) -> task<reply> {
      task<bool> stopping = s->server().stop(1ms);
      co_return reply::of(co_await std::move(stopping));
    });
    client c = co_await s->connected();
    const auto got = co_await timeout(patience, as_result(c.call(1)));
    if (!got) CHECK((got.error() == errc::peer_closed || got.error() == errc::refused_stopping));
    CHECK(co_await holds_soon([&] { return s->server().clients() == 0; }));
  });
}

TEST_CASE("a server that is destroyed ends a stop that is awaited") {
  on_a_loop([](loop& lp) -> task<void> {
    bool begun = false;
    served s(lp, [&](request) -> task<reply> {
      begun = true;
      co_await sleep_for(1h);
      co_return reply();
    });
    client c = co_await s.connected();
    beside calling(lp, c.call(1));
    CHECK(co_await holds_soon([&] { return begun; }));
    beside stopping(lp, s.server().stop(1h));
    co_await settle();
    s.destroy_server();
    const auto stopped = co_await timeout(patience, stopping.get());
    REQUIRE(stopped.has_value());
    CHECK_FALSE(*stopped);
    CHECK((co_await timeout(patience, calling.get())).error() == errc::peer_closed);
  });
}

TEST_CASE("a server that was moved away has no clients and no path, and has stopped") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    ringbell::server s(lp, folder / "service", echo);
    const ringbell::server other = std::move(s);
    CHECK(s.clients() == 0);  // NOLINT(bugprone-use-after-move): that is what is asked
    CHECK(s.path().empty());
    task<bool> stopping = s.stop(1h);
    CHECK(co_await timeout(patience, std::move(stopping)));
  });
}

TEST_CASE(
    "calls under way when the server is killed fail with peer_closed, and are not repeated by who connects again" *
    needs_fork) {
  const temporary_folder folder;
  const std::string path = folder / "service";
  const shared_object<std::atomic<int>> begun;
  const auto serve = [&] {
    on_a_loop([&](loop& lp) -> task<void> {
      ringbell::server s(lp, path, [&](request r) -> task<reply> {
        if (r.method() == echo_method) co_return reply(r.bytes());
        begun->fetch_add(1);
        co_await sleep_for(1h);
        co_return reply();
      });
      co_await sleep_for(1h);
    });
    return 0;
  };
  auto first = std::make_unique<child_process>(serve);
  on_a_loop([&](loop& lp) -> task<void> {
    client c = co_await client::connect(lp, path, reconnecting());
    client other = co_await client::connect(lp, path);
    beside calling(lp, c.call(1));
    call_stream stream = c.open(1);
    beside reading(lp, stream.read());
    CHECK(co_await holds_soon([&] { return begun->load() == 2; }));
    first->kill();
    const auto called = co_await timeout(patience, calling.get());
    CHECK(called.error() == errc::peer_closed);
    const auto read = co_await timeout(patience, reading.get());
    CHECK(read.error() == errc::peer_closed);
    first.reset();
    const child_process second(serve);
    const payload p = co_await timeout(patience, c.call(echo_method, "again"));
    CHECK(p.text() == "again");
    CHECK(begun->load() == 2);
    const auto given_up = co_await as_result(other.call(echo_method));
    CHECK(given_up.error() == errc::peer_closed);
  });
}

TEST_CASE(
    "who cannot connect again fails with the reason, at once during the pause, and tries again after it") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, echo);
    client_options options = reconnecting();
    options.connection.timeout = 1s;  // what a handshake takes, be the machine as busy as it likes
    options.first_pause = options.longest_pause = 500ms;
    client c = co_await s.connected(options);
    s.destroy_server();
    CHECK(co_await holds_soon([&] { return !c.connected(); }));
    const auto first = co_await timeout(patience, as_result(c.call(1)));
    CHECK(first.error() == errc::no_server);
    const auto failed_at = std::chrono::steady_clock::now();
    const auto second = co_await as_result(c.call(1));
    CHECK(second.error() == errc::no_server);
    s.replace_server(echo);
    for (;;) {
      const auto got = co_await timeout(patience, as_result(c.call(1, "back")));
      if (got) break;
      CHECK(got.error() == errc::no_server);
      co_await sleep_for(1ms);
    }
    CHECK(std::chrono::steady_clock::now() - failed_at >= 250ms);
  });
}

}  // TEST_SUITE("service_stop")
