// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/loop/loop.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "support/patience.hpp"

TEST_SUITE("timeout") {

using namespace ringbell;
using namespace std::chrono_literals;

namespace {

task<int> value_after(std::chrono::microseconds d, int v) {
  co_await sleep_for(d);
  co_return v;
}
task<int> deep(int depth, int& unwound) {
  struct on_exit {
    explicit on_exit(int& n) : count(n) {}
    ~on_exit() { ++count; }
    int& count;
  } guard(unwound);
  if (depth > 0) co_return co_await deep(depth - 1, unwound);
  co_await sleep_for(1h);
  co_return 0;
}

}  // namespace

TEST_CASE("what ends in time gives its value") {
  loop lp;
  CHECK(lp.run(timeout(test::patience, value_after(10us, 5))) == 5);
}

TEST_CASE("what does not end in time is stopped, and errc::timed_out thrown after it has ended") {
  const auto coroutine = [](int& unwound) -> task<void> {
    const auto begin = loop::clock::now();
    const result<int> r = co_await as_result(timeout(3ms, deep(5, unwound)));
    CHECK(r.error() == errc::timed_out);
    CHECK(r.error() == std::errc::timed_out);
    CHECK(unwound == 6);
    CHECK(loop::clock::now() - begin >= 3ms);
  };
  int unwound = 0;
  loop lp;
  lp.run(coroutine(unwound));
}

TEST_CASE("a wait of the library can be given a timeout without a task around it") {
  loop lp;
  try {
    lp.run(timeout(1ms, sleep_for(1h)));
    CHECK(false);
  } catch (const std::system_error& e) {
    CHECK(e.code() == errc::timed_out);
  }
}

TEST_CASE("a value that comes in spite of the stop is given") {
  struct coroutines {
    static task<int> stubborn() {
      const result<void> r = co_await as_result(sleep_for(1h));
      CHECK(r.error() == errc::cancelled);
      co_return 3;
    }
  };
  loop lp;
  CHECK(lp.run(timeout(1ms, coroutines::stubborn())) == 3);
}

TEST_CASE("an exception of its own passes through, before and after the deadline") {
  struct coroutines {
    static task<void> early() {
      co_await sleep_for(1us);
      throw std::out_of_range("early");
    }
    static task<void> late() {
      try {
        co_await sleep_for(1h);
      } catch (...) {}
      throw std::out_of_range("late");
    }
  };
  loop lp;
  CHECK_THROWS_WITH_AS(lp.run(timeout(test::patience, coroutines::early())), "early",
                       std::out_of_range);
  CHECK_THROWS_WITH_AS(lp.run(timeout(1ms, coroutines::late())), "late", std::out_of_range);
}

TEST_CASE("of nested timeouts the inner one reports its own, and the outer goes on") {
  const auto coroutine = []() -> task<int> {
    const result<void> inner = co_await as_result(timeout(1ms, sleep_for(1h)));
    CHECK(inner.error() == errc::timed_out);
    co_await sleep_for(1ms);
    co_return 4;
  };
  loop lp;
  CHECK(lp.run(timeout(test::patience, coroutine())) == 4);
}

TEST_CASE("of nested timeouts the outer one stops the inner, which reports errc::cancelled") {
  struct coroutines {
    static task<void> inner(std::error_code& seen) {
      try {
        co_await timeout(1h, sleep_for(2h));
      } catch (const std::system_error& e) {
        seen = e.code();
        throw;
      }
    }
    static task<void> outer(std::error_code& seen) {
      const result<void> r = co_await as_result(timeout(1ms, inner(seen)));
      CHECK(r.error() == errc::timed_out);
    }
  };
  std::error_code seen;
  loop lp;
  lp.run(coroutines::outer(seen));
  CHECK(seen == errc::cancelled);
}

TEST_CASE("the deadline counts from the await, not from the call") {
  const auto coroutine = []() -> task<void> {
    auto waiting = timeout(50ms, sleep_for(std::chrono::nanoseconds(1)));
    co_await sleep_for(60ms);
    co_await std::move(waiting);
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE("a timeout that was destroyed while it waited fires no more") {
  loop lp;
  {
    auto never = [](loop& l) -> task<void> {
      l.stop();
      co_await timeout(1ms, sleep_for(1h));
    };
    CHECK_THROWS_AS(lp.run(never(lp)), std::system_error);
  }
  CHECK(lp.run(value_after(3ms, 1)) == 1);
}

}  // TEST_SUITE("timeout")
