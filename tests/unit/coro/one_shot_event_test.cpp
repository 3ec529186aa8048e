// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/detail/one_shot_event.hpp>

#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/coro/when_any.hpp>

#include <doctest/doctest.h>

#include <chrono>

#include "support/channel_pair.hpp"

TEST_SUITE("gate") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<> wait_at(detail::gate& g, int& passed) {
  co_await g.wait();
  ++passed;
}

}  // namespace

TEST_CASE("a gate that opens lets all through who wait, and who comes later") {
  on_a_loop([](loop& lp) -> task<void> {
    detail::gate g;
    int passed = 0;
    scope waiting(lp);
    waiting.spawn(wait_at(g, passed));
    waiting.spawn(wait_at(g, passed));
    co_await yield();
    CHECK(passed == 0);
    g.open();
    co_await waiting.join();
    co_await g.wait();
    CHECK(passed == 2);
  });
}

TEST_CASE("a stop ends the wait at a gate, which others go on waiting at") {
  on_a_loop([](loop& lp) -> task<void> {
    detail::gate g;
    int passed = 0;
    scope waiting(lp);
    waiting.spawn(wait_at(g, passed));
    const auto ended = co_await as_result(timeout(1ms, g.wait()));
    CHECK(ended.error() == errc::timed_out);
    CHECK(passed == 0);
    g.open();
    co_await waiting.join();
    CHECK(passed == 1);
  });
}

}  // TEST_SUITE("gate")
