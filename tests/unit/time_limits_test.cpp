// SPDX-License-Identifier: BSL-1.0
// A time limit may be any duration, however long or negative, wherever one is taken.
#include <ringbell/coro/timeout.hpp>
#include <ringbell/time_limit.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("time_limits") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;
using std::chrono::duration;
using std::chrono::nanoseconds;

namespace {

constexpr nanoseconds kept(time_limit limit) { return limit; }

constexpr nanoseconds most = nanoseconds::max();
constexpr nanoseconds least = nanoseconds::min();

/// What a program may mean by "for ever".
const time_limit for_ever[] = {nanoseconds::max(),
                               std::chrono::seconds::max(),
                               std::chrono::hours::max(),
                               duration<std::uint64_t, std::milli>::max(),
                               duration<double>::max(),
                               duration<float>(std::numeric_limits<float>::infinity()),
                               std::chrono::hours(24 * 365 * 300)};
const time_limit long_past[] = {-1ns, nanoseconds::min(), std::chrono::hours::min(),
                                duration<double>::min()};

task<reply> echo(request r) { co_return reply(r.bytes()); }

}  // namespace

TEST_CASE("a duration that nanoseconds can tell is kept") {
  static_assert(kept(5ns) == 5ns && kept(-5ns) == -5ns && kept(0h) == 0ns);
  static_assert(kept(3s) == 3'000'000'000ns && kept(-2h) == -7'200s);
  static_assert(kept(most) == most && kept(least) == least);
  static_assert(kept(duration<unsigned char, std::milli>(250)) == 250ms);
  static_assert(kept(duration<std::uint64_t>(7)) == 7s);
  static_assert(kept(duration<double>(0.25)) == 250ms);
  static_assert(kept(duration<int, std::ratio<1001, 30000>>(30)) == 1001ms);
  static_assert(kept(duration<std::int64_t, std::pico>(5000)) == 5ns);
}

TEST_CASE("one that is too long in either direction saturates") {
  static_assert(kept(std::chrono::seconds::max()) == most &&
                kept(std::chrono::seconds::min()) == least);
  static_assert(kept(std::chrono::hours::max()) == most &&
                kept(std::chrono::hours::min()) == least);
  static_assert(kept(duration<int, std::ratio<86400 * 365>>::max()) == most &&
                kept(duration<int, std::ratio<86400 * 365>>::min()) == least);
  static_assert(kept(duration<std::uint64_t, std::nano>::max()) == most &&
                kept(duration<std::uint64_t>::max()) == most);
  static_assert(kept(duration<double>::max()) == most && kept(duration<double>::min()) == least);
  static_assert(kept(duration<std::int64_t, std::ratio<1001, 30000>>::max()) == most);
  CHECK(kept(duration<double>(std::numeric_limits<double>::infinity())) == most);
  CHECK(kept(duration<float>(-std::numeric_limits<float>::infinity())) == least);
  CHECK(kept(duration<double>(std::numeric_limits<double>::quiet_NaN())) == least);
}

TEST_CASE(
    "fractions of a nanosecond are rounded away from zero: nothing ends early, or becomes no limit") {
  static_assert(kept(duration<int, std::pico>(1)) == 1ns &&
                kept(duration<int, std::pico>(-1)) == -1ns);
  static_assert(kept(duration<int, std::pico>(1001)) == 2ns);
  static_assert(kept(duration<double, std::nano>(0.1)) == 1ns &&
                kept(duration<double, std::nano>(1.5)) == 2ns);
}

TEST_CASE(
    "a sleep of any length goes on until it is cancelled, and a negative one ends at the next turn") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const time_limit limit : for_ever) {
      beside sleeping(lp, sleep_for(limit));
      co_await let_park(lp);
      CHECK_FALSE(sleeping.ended());
      sleeping.request_stop();
      CHECK((co_await sleeping.get()).error() == errc::cancelled);
    }
    for (const time_limit limit : long_past) co_await sleep_for(limit);
    using clock = loop::clock;
    beside sleeping(lp, sleep_until(std::chrono::time_point<clock, std::chrono::hours>::max()));
    co_await let_park(lp);
    CHECK_FALSE(sleeping.ended());
    co_await sleep_until(std::chrono::time_point<clock, std::chrono::hours>::min());
    co_await sleep_until(clock::time_point::min());
  });
}

TEST_CASE("of two sleepers the one with the nearer end wakes, whatever the other's") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const time_limit limit : for_ever) {
      beside sleeping(lp, sleep_for(limit));
      co_await sleep_for(1ms);
      CHECK_FALSE(sleeping.ended());
    }
  });
}

TEST_CASE("a timeout of any length does not end what it limits, and a negative one does") {
  on_a_loop([](loop&) -> task<void> {
    for (const time_limit limit : for_ever) co_await timeout(limit, sleep_for(1ms));
    for (const time_limit limit : long_past)
      CHECK((co_await as_result(timeout(limit, sleep_for(1h)))).error() == errc::timed_out);
  });
}

TEST_CASE("connecting, handshakes, calls, pauses and idle clients take any limit") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const time_limit limit : for_ever) {
      server_options of_server;
      of_server.listening.handshake_timeout = of_server.idle_timeout = limit;
      served s(lp, echo, of_server);
      client_options of_client;
      of_client.connection.timeout = of_client.first_pause = of_client.longest_pause = limit;
      of_client.reconnect = reconnect_policy::with_backoff;
      client c = co_await s.connected(of_client);
      call_options of_call;
      of_call.timeout = limit;
      CHECK((co_await c.call(echo_method, "hello", of_call)).text() == "hello");
      const payload p = co_await c.call(echo_method, "hello", of_call);
      CHECK(p.text() == "hello");
      CHECK((co_await c.call(echo_method, "hello", duration<double>::max())).text() == "hello");
      CHECK(co_await s.server().stop(limit));
    }
  });
}

TEST_CASE("a call with a negative limit has timed out, and the connection goes on") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      if (r.text() == "slow") co_await sleep_for(1h);
      co_return reply(r.bytes());
    });
    client c = co_await s.connected();
    for (const time_limit limit : long_past) {
      call_options of_call;
      of_call.timeout = limit;
      CHECK((co_await as_result(c.call(echo_method, "slow", of_call))).error() == errc::timed_out);
    }
    CHECK((co_await c.call(echo_method, "hello")).text() == "hello");
  });
}

TEST_CASE("a stop with a negative grace asks the handlers at once") {
  for (const time_limit limit : long_past)
    on_a_loop([limit](loop& lp) -> task<void> {
      served s(lp, [](request) -> task<reply> {
        co_await sleep_for(1h);
        co_return reply();
      });
      client c = co_await s.connected();
      beside calling(lp, c.call(echo_method, "slow"));
      CHECK(co_await holds_soon([&] { return c.calls() == 1; }));
      (void)co_await s.server().stop(limit);
      CHECK_FALSE(*co_await as_result(calling.get()));
    });
}

TEST_CASE(
    "without a server, a connect with a limit that is over fails at its first attempt, and one without end waits") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    connect_options of_client;
    for (const time_limit limit : long_past) {
      of_client.timeout = limit;
      CHECK((co_await as_result(connect(lp, folder / "nobody", of_client))).error() ==
            errc::no_server);
    }
    for (const time_limit limit : for_ever) {
      of_client.timeout = limit;
      beside connecting(lp, connect(lp, folder / "nobody", of_client));
      co_await sleep_for(5ms);
      CHECK_FALSE(connecting.ended());
    }
  });
}

}  // TEST_SUITE("time_limits")
