// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/loop/loop.hpp>

#include <doctest/doctest.h>

#include "support/allocations.hpp"

#include <string>
#include <vector>

TEST_SUITE("sleep") {

using namespace ringbell;
using namespace std::chrono_literals;
using steady = loop::clock;

namespace {

task<void> append_after(std::chrono::milliseconds d, std::string& to, char c) {
  co_await sleep_for(d);
  to += c;
}
task<void> sleep_once(std::chrono::nanoseconds d) { co_await sleep_for(d); }

}  // namespace

TEST_CASE("a sleep never ends early") {
  loop lp;
  for (const auto d : {0us, 1us, 100us, 5000us}) {
    const auto begin = steady::now();
    lp.run(sleep_once(d));
    CHECK(steady::now() - begin >= d);
  }
}

TEST_CASE("sleep_until with a time that has passed goes on at the next turn") {
  loop lp;
  const auto coroutine = []() -> task<void> { co_await sleep_until(steady::time_point::min()); };
  lp.run(coroutine());
}

TEST_CASE("sleepers wake in the order of their times") {
  std::string order;
  loop lp;
  lp.spawn(append_after(30ms, order, 'c'));
  lp.spawn(append_after(10ms, order, 'a'));
  lp.spawn(append_after(20ms, order, 'b'));
  lp.run_until_idle();
  CHECK(order == "abc");
}

TEST_CASE("a stop request ends a sleep with errc::cancelled") {
  struct coroutines {
    static task<void> sleeper(std::error_code& error) {
      try {
        co_await sleep_for(1h);
      } catch (const std::system_error& e) {
        error = e.code();
      }
    }
    static task<void> all(loop& lp, std::error_code& error) {
      scope s{lp};
      s.spawn(sleeper(error));
      co_await yield();
      s.request_stop();
      co_await s.join();
    }
  };
  std::error_code error;
  loop lp;
  lp.run(coroutines::all(lp, error));
  CHECK(error == errc::cancelled);
  CHECK(error == std::errc::operation_canceled);
}

TEST_CASE("a sleep that begins after the stop request does not suspend") {
  struct coroutines {
    static task<void> sleeper(std::error_code& error) {
      error = (co_await as_result(sleep_for(1h))).error();
    }
    static task<void> all(loop& lp, std::error_code& error) {
      scope s{lp};
      s.request_stop();
      s.spawn(sleeper(error));
      co_await s.join();
    }
  };
  std::error_code error;
  loop lp;
  lp.run(coroutines::all(lp, error));
  CHECK(error == errc::cancelled);
}

TEST_CASE("a sleep whose time came in the same turn as the stop has ended as it should") {
  struct coroutines {
    static task<void> sleeper(steady::time_point due, result<void>& outcome) {
      outcome = co_await as_result(sleep_until(due));
    }
    static task<void> stopper(steady::time_point due, scope& s) {
      co_await sleep_until(due);
      s.request_stop();
    }
    static task<void> all(loop& lp, result<void>& outcome) {
      scope s{lp};
      const auto due = steady::now() + 2ms;
      s.spawn(stopper(due, s));
      s.spawn(sleeper(due, outcome));
      co_await s.join();
    }
  };
  result<void> outcome = errc::would_block;
  loop lp;
  lp.run(coroutines::all(lp, outcome));
  CHECK(outcome.has_value());
}

TEST_CASE("a stop after a sleep, in the same expression, resumes nothing twice") {
  struct coroutines {
    static int stop(scope& s) {
      s.request_stop();
      return 1;
    }
    static task<int> slept() {
      co_await sleep_for(1us);
      co_return 1;
    }
    static task<void> child(scope& s, int& sum) {
      sum += (co_await as_result(sleep_for(1us))).has_value() + stop(s);
      co_await yield();
      sum += 10;
    }
    static task<void> all(loop& lp, int& sum) {
      scope s{lp};
      s.spawn(child(s, sum));
      co_await s.join();
    }
  };
  int sum = 0;
  loop lp;
  lp.run(coroutines::all(lp, sum));
  CHECK(sum == 12);
}

TEST_CASE("yield lets everything else that is ready run first") {
  struct coroutines {
    static task<void> steps(std::string& to, char c) {
      for (int i = 0; i < 3; ++i) {
        to += c;
        co_await yield();
      }
    }
  };
  std::string order;
  loop lp;
  lp.spawn(coroutines::steps(order, 'a'));
  lp.spawn(coroutines::steps(order, 'b'));
  lp.run_until_idle();
  CHECK(order == "ababab");
}

TEST_CASE("a thousand sleeps in one coroutine allocate nothing") {
  struct coroutines {
    static task<std::size_t> many() {
      co_await sleep_for(1ns);
      const std::size_t before = test::allocations;
      for (int i = 0; i < 1000; ++i) {
        co_await sleep_for(1ns);
        const result<void> r = co_await as_result(sleep_for(1ns));
        if (!r) co_return 1;
        co_await yield();
      }
      co_return test::allocations - before;
    }
  };
  loop lp;
  CHECK(lp.run(coroutines::many()) == 0);
}

TEST_CASE("a sleeper that is destroyed is not woken") {
  loop lp;
  {
    scope s{lp};
    s.spawn(sleep_once(1ms));
    lp.run(sleep_once(0ns));
    CHECK(s.size() == 1);
  }
  lp.run(sleep_once(3ms));
}

TEST_CASE("durations beyond the end of time are no overflow") {
  loop lp;
  {
    scope s{lp};
    s.spawn(sleep_once(std::chrono::nanoseconds::max()));
    lp.run(sleep_once(1ms));
    CHECK(s.size() == 1);
  }
}

}  // TEST_SUITE("sleep")
