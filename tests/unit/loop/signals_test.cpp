// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/coro/when_any.hpp>
#include <ringbell/loop/loop_pool.hpp>
#include <ringbell/loop/signals.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <future>

#include "support/applies.hpp"
#include "support/child_process.hpp"
#include "support/patience.hpp"
#include "support/signals.hpp"

TEST_SUITE("signals") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<int> raise_and_wait(int signal) {
  task<int> wait = signalled(first_signal, second_signal);
  std::raise(signal);
  co_return co_await std::move(wait);
}

// A server that works until it is told to end; says when it can be told.
task<void> serve(const milestone& ready) {
  auto ended = when_any(signalled(SIGTERM, SIGINT), sleep_for(60s));
  ready.reach();
  const auto first = co_await std::move(ended);
  expect(first.index() == 0, "a signal");
}

int be_server(const milestone& ready) {
  can_be_asked();
  loop lp;
  lp.run(serve(ready));
  return 0;
}

}  // namespace

TEST_CASE("a signal of the set is told by its number") {
  loop lp;
  CHECK(lp.run(raise_and_wait(first_signal)) == first_signal);
  CHECK(lp.run(raise_and_wait(second_signal)) == second_signal);
}

TEST_CASE("signals are blocked from the call on, and unblocked after the wait") {
  CHECK_FALSE(is_blocked(first_signal));
  {
    const task<int> waiting = signalled(first_signal);
    CHECK(is_blocked(first_signal));
    CHECK_FALSE(is_blocked(second_signal));
  }
  CHECK_FALSE(is_blocked(first_signal));
}

TEST_CASE("a signal that was blocked before stays blocked") {
  block(first_signal);
  { const signal_set set({first_signal}); }
  CHECK(is_blocked(first_signal));
  unblock(first_signal);
}

TEST_CASE("between two waits of a signal_set no signal is lost") {
  const auto coroutine = []() -> task<void> {
    signal_set set({first_signal, second_signal});
    std::raise(first_signal);
    CHECK(co_await set.next() == first_signal);
    std::raise(second_signal);
    co_await sleep_for(1ms);
    CHECK(co_await set.next() == second_signal);
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE("a cancelled wait leaves the signal to the next") {
  const auto coroutine = []() -> task<void> {
    signal_set set({first_signal});
    const result<int> r = co_await as_result(timeout(1ms, set.next()));
    CHECK(r.error() == errc::timed_out);
    std::raise(first_signal);
    CHECK(co_await timeout(patience, set.next()) == first_signal);
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE("what is no signal number is refused") {
  CHECK_THROWS_AS(signal_set({0}), std::system_error);
  CHECK_THROWS_AS(signal_set({first_signal, 1000}), std::system_error);
  CHECK_FALSE(is_blocked(first_signal));
}

TEST_CASE("a program that is told to end while it sleeps ends in order") {
  const milestone ready;
  child_process server(&be_server, ready);
  ready.wait();
  CHECK(ask_to_end(server));
  CHECK(server.wait() == 0);
}

TEST_CASE(
    "a pool's threads have signals blocked, and the thread that made the pool has none more than before" *
    not_on(windows, "a thread cannot block signals")) {
  const bool before = is_blocked(SIGTERM);
  loop_pool pool(2);
  CHECK(is_blocked(SIGTERM) == before);
  for (std::size_t i = 0; i < pool.size(); ++i) {
    std::promise<bool> there;
    auto blocked = there.get_future();
    pool[i].post([&] { there.set_value(is_blocked(SIGTERM) && is_blocked(SIGINT)); });
    REQUIRE(blocked.wait_for(patience) == std::future_status::ready);
    CHECK(blocked.get());
  }
}

}  // TEST_SUITE("signals")
