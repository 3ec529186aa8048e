// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/detail/one_shot_event.hpp>

#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/coro/when_any.hpp>

#include <doctest/doctest.h>

#include <chrono>

#include "support/channel_pair.hpp"

TEST_SUITE("one_shot_event") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<> wait_at(detail::one_shot_event& e, int& passed) {
  co_await e.wait();
  ++passed;
}

}  // namespace

TEST_CASE("an event that is set lets all coroutines go on that wait, and those that come later") {
  on_a_loop([](loop& lp) -> task<void> {
    detail::one_shot_event e;
    int passed = 0;
    scope waiting(lp);
    waiting.spawn(wait_at(e, passed));
    waiting.spawn(wait_at(e, passed));
    co_await yield();
    CHECK(passed == 0);
    e.set();
    co_await waiting.join();
    co_await e.wait();
    CHECK(passed == 2);
  });
}

TEST_CASE("a stop ends the wait for an event, and others go on waiting for it") {
  on_a_loop([](loop& lp) -> task<void> {
    detail::one_shot_event e;
    int passed = 0;
    scope waiting(lp);
    waiting.spawn(wait_at(e, passed));
    const auto ended = co_await as_result(timeout(1ms, e.wait()));
    CHECK(ended.error() == errc::timed_out);
    CHECK(passed == 0);
    e.set();
    co_await waiting.join();
    CHECK(passed == 1);
  });
}

}  // TEST_SUITE("one_shot_event")
