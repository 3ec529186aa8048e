// SPDX-License-Identifier: BSL-1.0
// Calls that nobody waits for any more, at each moment.
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>

#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("service_cancel") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

client_options small_rings() {
  client_options options;
  options.connection.ring_bytes = options.connection.peer_ring_bytes = 4096;
  return options;
}

/// Handlers that wait, and how each of them ended.
struct waiting_service {
  task<reply> operator()(request r) {
    ++begun;
    const counted here(alive);
    if (r.method() == echo_method) co_return reply(r.bytes());
    const std::string part(100'000, 'x');
    result<void> how;
    if (r.method() == 1)
      how = co_await as_result(sleep_for(1h));
    else
      while (how) how = co_await as_result(r.write(part));
    stopped = r.stop_requested();
    ended = how.error();
    co_return reply("late");
  }
  server::handler_type handler() {
    return [this](request r) { return (*this)(std::move(r)); };
  }
  int begun = 0;
  int alive = 0;
  bool stopped = false;
  std::optional<std::error_code> ended;
};

}  // namespace

TEST_CASE("a stop ends the call at once, and the handler where it waits") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const std::uint32_t method : {1U, 2U}) {
      waiting_service w;
      served s(lp, w.handler());
      client c = co_await s.connected(small_rings());
      call_stream other = c.open(1);
      beside calling(lp, c.call(method));
      CHECK(co_await holds_soon([&] { return w.begun == 2; }));
      calling.request_stop();
      const auto got = co_await calling.get();
      CHECK(got.error() == errc::cancelled);
      CHECK(co_await holds_soon([&] { return w.ended.has_value(); }));
      CHECK(*w.ended == errc::cancelled);
      CHECK(w.stopped);
      CHECK(w.alive == 1);
      const payload p = co_await c.call(echo_method, "goes on");
      CHECK(p.text() == "goes on");
    }
  });
}

TEST_CASE("a call, or a stream, that is destroyed ends its handler") {
  on_a_loop([](loop& lp) -> task<void> {
    waiting_service w;
    served s(lp, w.handler());
    client c = co_await s.connected();
    auto calling = std::make_unique<beside<decltype(c.call(1))>>(lp, c.call(1));
    auto stream = std::make_unique<call_stream>(c.open(2));
    CHECK(co_await holds_soon([&] { return w.alive == 2; }));
    calling.reset();
    CHECK(co_await holds_soon([&] { return w.alive == 1; }));
    stream.reset();
    CHECK(co_await holds_soon([&] { return w.alive == 0; }));
    CHECK(c.calls() == 0);
  });
}

TEST_CASE("a timeout ends the call with timed_out, and the deadline reaches the handler") {
  on_a_loop([](loop& lp) -> task<void> {
    std::optional<std::chrono::steady_clock::time_point> seen;
    std::optional<std::error_code> ended;
    served s(lp, [&](request r) -> task<reply> {
      seen = r.deadline();
      const auto slept = co_await as_result(sleep_for(1h));
      ended = slept.error();
      co_return reply("late");
    });
    client c = co_await s.connected();
    // Four times as long each time, until it is long enough for the handler to begin.
    for (std::chrono::nanoseconds limit = 20ms; !seen && limit < patience; limit *= 4) {
      const auto before = std::chrono::steady_clock::now();
      const auto failed = co_await error_of(c.call(1, std::string_view(), limit));
      const auto after = std::chrono::steady_clock::now();
      CHECK(failed.first == errc::timed_out);
      CHECK(after - before >= limit);
      if (!seen) continue;
      CHECK(*seen - before >= limit);
      CHECK(*seen - after < patience);
    }
    REQUIRE(seen);
    CHECK(co_await holds_soon([&] { return ended.has_value(); }));
    CHECK(*ended == errc::cancelled);
  });
}

TEST_CASE("a request whose deadline has passed when it arrives begins no handler") {
  on_a_loop([](loop& lp) -> task<void> {
    waiting_service w;
    served s(lp, w.handler());
    client c = co_await s.connected();
    const auto failed = co_await error_of(c.call(1, std::string_view(), -1s));
    CHECK(failed.first == errc::timed_out);
    co_await c.call(echo_method);
    CHECK(w.begun == 1);
  });
}

TEST_CASE("a request cancelled at any moment was not begun, or its handler is stopped") {
  on_a_loop([](loop& lp) -> task<void> {
    waiting_service w;
    served s(lp, w.handler());
    client c = co_await s.connected(small_rings());
    const std::string text(20'000, 'x');
    int unsent = 0;
    int begun = 0;
    // In the ring of 4 KiB, before its first fragment, in the midst, and when its last one has just
    // gone.
    for (int turns = 0; turns < 80 || (begun == 0 && turns < 100'000); turns += 1 + turns / 50) {
      CAPTURE(turns);
      w.begun = 0;
      auto calling = std::make_unique<beside<decltype(c.call(1, text))>>(lp, c.call(1, text));
      for (int i = 0; i < turns; ++i) co_await yield();
      calling.reset();
      const payload p = co_await timeout(patience, c.call(echo_method, "after"));
      CHECK(p.text() == "after");
      (w.begun == 1 ? unsent : begun) += 1;
      CHECK(co_await holds_soon([&] { return w.alive == 0; }));
    }
    CHECK(unsent > 0);
    CHECK(begun > 0);
  });
}

TEST_CASE("requests that are queued when they are cancelled never reach the server") {
  on_a_loop([](loop& lp) -> task<void> {
    waiting_service w;
    served s(lp, w.handler());
    client c = co_await s.connected(small_rings());
    const std::string text(100'000, 'x');
    beside first(lp, c.call(echo_method, text));
    auto second = std::make_unique<beside<decltype(c.call(1, text))>>(lp, c.call(1, text));
    beside third(lp, c.call(echo_method, "third"));
    co_await yield();
    co_await yield();
    second.reset();
    const auto a = co_await timeout(patience, first.get());
    CHECK(a.has_value());
    const auto b = co_await timeout(patience, third.get());
    CHECK(b.has_value());
    CHECK(w.begun == 2);
  });
}

TEST_CASE("the number of a call that was given up is not used again before its handler has ended") {
  on_a_loop([](loop& lp) -> task<void> {
    event_flag go;
    bool begun = false;
    bool done = false;
    served s(lp, [&](request r) -> task<reply> {
      if (r.method() == echo_method) co_return reply(r.bytes());
      begun = true;
      co_await detail::adopt_stop_token(inplace_stop_token());  // hears of no cancellation
      co_await go.wait();
      done = true;
      co_return reply("late");
    });
    client c = co_await s.connected();
    // Four times as long each time, until it is long enough for the handler to begin.
    for (std::chrono::nanoseconds limit = 1ms; !begun && limit < patience; limit *= 4) {
      const auto failed = co_await error_of(c.call(1, std::string_view(), limit));
      CHECK(failed.first == errc::timed_out);
    }
    REQUIRE(begun);
    // A slot's number comes again after 4,096 uses.
    for (int i = 0; i < 2 * 4096; ++i) {
      const payload p = co_await c.call_with(echo_method, i);
      REQUIRE(p.as<int>() == i);
    }
    go.set();
    CHECK(co_await holds_soon([&] { return done; }));
    for (int i = 0; i < 2 * 4096; ++i) {
      const payload p = co_await c.call_with(echo_method, i);
      REQUIRE(p.as<int>() == i);
    }
    CHECK(c.connected());
  });
}

TEST_CASE("a client that dies ends its handlers") {
  on_a_loop([](loop& lp) -> task<void> {
    waiting_service w;
    served s(lp, w.handler());
    {
      connect_options options;
      options.bells = sys::frugal_bells();
      channel ch = co_await connect(lp, s.path(), options);
      for (std::uint32_t call = 1; call <= 2; ++call) {
        service_frame::header h;
        h.call = h.method = call;
        const auto head = service_frame::encode(h);
        co_await ch.send(head.bytes());
      }
      CHECK(co_await holds_soon([&] { return w.alive == 2; }));
    }
    CHECK(co_await holds_soon([&] { return w.alive == 0 && s.server().clients() == 0; }));
  });
}

TEST_CASE("call_once connects, calls and closes") {
  on_a_loop([](loop& lp) -> task<void> {
    waiting_service w;
    served s(lp, w.handler());
    const payload p = co_await call_once(lp, s.path(), echo_method, "once");
    CHECK(p.text() == "once");
    CHECK(co_await holds_soon([&] { return s.server().clients() == 0; }));
    const auto failed = co_await error_of(call_once(lp, s.path(), 1, "", 5ms));
    CHECK(failed.first == errc::timed_out);
    client_options impatient;
    impatient.connection.timeout = 1ms;
    const auto nobody = co_await error_of(call_once(lp, s.path() + "-not", 1, "", {}, impatient));
    CHECK(nobody.first == errc::no_server);
  });
}

TEST_CASE(
    "a call, and a stream's reads and writes, that wait for a connection can be cancelled, or get it") {
  on_a_loop([](loop& lp) -> task<void> {
    waiting_service w;
    served s(lp, w.handler());
    client_options again;
    again.reconnect = reconnect_policy::with_backoff;
    client c = co_await s.connected(again);
    s.destroy_server();
    CHECK(co_await holds_soon([&] { return !c.connected(); }));
    beside cancelled(lp, c.call(1));
    beside kept(lp, c.call(echo_method, "kept"));
    call_stream stream = c.open(3);
    beside reading(lp, stream.read());
    beside writing(lp, stream.write("part"));
    call_stream given_up = c.open(1);
    beside given_up_write(lp, given_up.write("part"));
    co_await settle();
    CHECK_FALSE(reading.ended());
    CHECK_FALSE(writing.ended());
    cancelled.request_stop();
    given_up_write.request_stop();
    const auto got = co_await cancelled.get();
    CHECK(got.error() == errc::cancelled);
    const auto not_written = co_await given_up_write.get();
    CHECK(not_written.error() == errc::cancelled);
    s.replace_server([&](request r) -> task<reply> {
      if (r.method() == echo_method) co_return reply(r.bytes());
      while (auto part = co_await r.read()) co_await r.write(part->bytes());
      co_return reply("all");
    });
    const auto p = co_await timeout(patience, kept.get());
    REQUIRE(p.has_value());
    CHECK(p->text() == "kept");
    const auto part = co_await timeout(patience, reading.get());
    REQUIRE(part.has_value());
    CHECK((*part)->text() == "part");
    CHECK((co_await writing.get()).has_value());
    stream.finish();
    const payload last = co_await timeout(patience, stream.reply());
    CHECK(last.text() == "all");
  });
}

TEST_CASE("close() while the client connects again leaves no connection") {
  on_a_loop([](loop& lp) -> task<void> {
    waiting_service w;
    served s(lp, w.handler());
    client_options again;
    again.reconnect = reconnect_policy::with_backoff;
    client c = co_await s.connected(again);
    s.destroy_server();
    CHECK(co_await holds_soon([&] { return !c.connected(); }));
    beside calling(lp, c.call(1));
    co_await settle();
    c.close();
    const auto got = co_await timeout(patience, calling.get());
    CHECK(got.error() == errc::closed);
    s.replace_server(w.handler());
    co_await call_once(lp, s.path(), echo_method, "");
    co_await sleep_for(150ms);  // longer than it waits between two attempts
    CHECK_FALSE(c.connected());
    CHECK(co_await holds_soon([&] { return s.server().clients() == 0; }));
  });
}

}  // TEST_SUITE("service_cancel")
