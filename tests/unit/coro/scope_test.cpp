// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/loop/loop.hpp>

#include <doctest/doctest.h>

#include "support/allocations.hpp"
#include "support/stderr_text.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

TEST_SUITE("scope") {

using namespace ringbell;
using namespace std::chrono_literals;

namespace {

struct alive {
  explicit alive(int& n) : count(n) { ++count; }
  alive(const alive&) = delete;
  ~alive() { --count; }
  int& count;
};

task<void> add_after(std::chrono::microseconds d, int& to, int n) {
  co_await sleep_for(d);
  to += n;
}
task<void> fail_after(std::chrono::microseconds d, const char* what) {
  co_await sleep_for(d);
  throw std::runtime_error(what);
}
task<void> sleep_alive(int& frames) {
  const alive a(frames);
  co_await sleep_for(1h);
}
task<void> sleep_deep(int depth, int& frames) {
  const alive a(frames);
  if (depth == 0)
    co_await sleep_for(1h);
  else
    co_await sleep_deep(depth - 1, frames);
}
task<void> nothing() { co_return; }

}  // namespace

TEST_CASE("join returns when all children have ended") {
  const auto coroutine = [](loop& lp) -> task<int> {
    int sum = 0;
    scope s{lp};
    for (int i = 1; i <= 10; ++i) s.spawn(add_after(std::chrono::microseconds(100 * i), sum, i));
    CHECK(s.size() == 10);
    co_await s.join();
    CHECK(s.size() == 0);
    co_return sum;
  };
  loop lp;
  CHECK(lp.run(coroutine(lp)) == 55);
}

TEST_CASE("join of an empty scope returns at once, and a scope can be used again") {
  const auto coroutine = [](loop& lp) -> task<int> {
    int sum = 0;
    scope s{lp};
    co_await s.join();
    s.spawn(add_after(1us, sum, 1));
    co_await s.join();
    s.spawn(add_after(1us, sum, 2));
    co_await s.join();
    co_return sum;
  };
  loop lp;
  CHECK(lp.run(coroutine(lp)) == 3);
}

TEST_CASE("join also waits for what children spawn") {
  struct coroutines {
    static task<void> parent(scope& s, int depth, int& ended) {
      co_await sleep_for(10us);
      if (depth > 0) s.spawn(parent(s, depth - 1, ended));
      ++ended;
    }
    static task<int> all(loop& lp) {
      int ended = 0;
      scope s{lp};
      s.spawn(parent(s, 9, ended));
      co_await s.join();
      co_return ended;
    }
  };
  loop lp;
  CHECK(lp.run(coroutines::all(lp)) == 10);
}

TEST_CASE("several coroutines may join one scope") {
  struct coroutines {
    static task<void> joiner(scope& s, int& joined) {
      co_await s.join();
      ++joined;
    }
    static task<int> all(loop& lp) {
      int joined = 0, sum = 0;
      scope work{lp}, joiners{lp};
      work.spawn(add_after(1ms, sum, 1));
      for (int i = 0; i < 3; ++i) joiners.spawn(joiner(work, joined));
      co_await joiners.join();
      co_return joined + sum;
    }
  };
  loop lp;
  CHECK(lp.run(coroutines::all(lp)) == 4);
}

TEST_CASE("a failing child stops no sibling, and join throws what it threw first") {
  const auto coroutine = [](loop& lp, int& sum, std::string& what) -> task<void> {
    scope s{lp};
    s.spawn(fail_after(100us, "first"));
    s.spawn(fail_after(3ms, "second"));
    s.spawn(add_after(6000us, sum, 1));
    try {
      co_await s.join();
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
    co_await s.join();
  };
  int sum = 0;
  std::string what;
  loop lp;
  lp.run(coroutine(lp, sum, what));
  CHECK(sum == 1);
  CHECK(what == "first");
}

TEST_CASE("a handler gets every child's exception, and join throws none") {
  const auto coroutine = [](loop& lp, int& calls) -> task<void> {
    scope s{lp};
    s.on_error([&calls](std::exception_ptr e) { calls += e != nullptr; });
    for (int i = 0; i < 3; ++i) s.spawn(fail_after(100us, "handled"));
    co_await s.join();
  };
  int calls = 0;
  loop lp;
  lp.run(coroutine(lp, calls));
  CHECK(calls == 3);
}

TEST_CASE(
    "a failure that no handler hears of, and nobody waits for, is printed once, with the scope's name and its text; all are counted") {
  const auto coroutine = [](loop& lp) -> task<void> {
    const test::stderr_text printed;
    scope s{lp, "sessions"};
    scope other{lp};
    s.spawn(fail_after(1us, "the first reason"));
    s.spawn(fail_after(2us, "the second reason"));
    while (s.size() != 0) co_await yield();
    CHECK(s.failures() == 2);
    const std::string text = printed.text();
    CHECK(text.find("the first reason") != std::string::npos);
    CHECK(text.find("'sessions'") != std::string::npos);
    CHECK(text.find("the second reason") == std::string::npos);
    other.spawn([]() -> task<void> {
      co_await yield();
      throw 5;
    }());
    while (other.size() != 0) co_await yield();
    CHECK(printed.text().find("no std::exception") != std::string::npos);
  };
  loop lp;
  lp.run(coroutine(lp));
}

TEST_CASE("a failure that a handler hears of, or join() throws at once, is not printed") {
  const auto coroutine = [](loop& lp) -> task<void> {
    const test::stderr_text printed;
    scope heard{lp, "heard"};
    int calls = 0;
    heard.on_error([&calls](const std::exception_ptr&) { ++calls; });
    for (int i = 0; i < 3; ++i) heard.spawn(fail_after(1us, "heard"));
    co_await heard.join();
    CHECK(calls == 3);
    CHECK(heard.failures() == 3);
    scope awaited{lp, "awaited"};
    awaited.spawn(fail_after(1us, "awaited"));
    CHECK_THROWS_WITH(co_await awaited.join(), "awaited");
    scope stopped{lp, "stopped"};
    stopped.spawn([]() -> task<void> { co_await sleep_for(1h); }());
    co_await yield();
    stopped.request_stop();
    while (stopped.size() != 0) co_await yield();
    CHECK(stopped.failures() == 0);
    CHECK(printed.text().empty());
  };
  loop lp;
  lp.run(coroutine(lp));
}

TEST_CASE("a stop request reaches the innermost sleep of every child, and is no failure") {
  const auto coroutine = [](loop& lp, int& frames) -> task<void> {
    scope s{lp};
    for (int i = 0; i < 5; ++i) s.spawn(sleep_deep(i, frames));
    co_await sleep_for(100us);
    CHECK(frames == 1 + 2 + 3 + 4 + 5);
    CHECK(s.request_stop());
    CHECK_FALSE(s.request_stop());
    co_await s.join();
  };
  int frames = 0;
  loop lp;
  lp.run(coroutine(lp, frames));
  CHECK(frames == 0);
}

TEST_CASE("a stop of the parent's token stops the children") {
  const auto coroutine = [](loop& lp, int& frames) -> task<void> {
    inplace_stop_source parent;
    scope s{lp, parent.get_token()};
    s.spawn(sleep_alive(frames));
    co_await yield();
    parent.request_stop();
    CHECK(s.stop_token().stop_requested());
    co_await s.join();
  };
  int frames = 0;
  loop lp;
  lp.run(coroutine(lp, frames));
  CHECK(frames == 0);
}

TEST_CASE(
    "a joiner that is asked to stop passes that on, waits for the children, and is cancelled") {
  struct coroutines {
    static task<void> inner(loop& lp, int& frames) {
      scope s{lp};
      s.spawn(sleep_alive(frames));
      co_await s.join();
    }
    static task<void> all(loop& lp, int& frames, std::error_code& error) {
      error = (co_await as_result(timeout(2ms, inner(lp, frames)))).error();
      CHECK(frames == 0);
    }
  };
  int frames = 0;
  std::error_code error;
  loop lp;
  lp.run(coroutines::all(lp, frames, error));
  CHECK(error == errc::timed_out);
}

TEST_CASE("a scope that is destroyed destroys its suspended children") {
  int frames = 0;
  const std::size_t before = test::outstanding();
  {
    loop lp;
    {
      scope s{lp};
      for (int i = 0; i < 5; ++i) s.spawn(sleep_deep(i, frames));
      lp.run(nothing());
      lp.run(nothing());
      CHECK(frames == 15);
    }
    CHECK(frames == 0);
    lp.run(nothing());
  }
  CHECK(test::outstanding() == before);
}

TEST_CASE("a scope that is destroyed at once releases children that never began") {
  const std::size_t before = test::outstanding();
  {
    loop lp;
    scope s{lp};
    for (int i = 0; i < 3; ++i) s.spawn(nothing());
  }
  CHECK(test::outstanding() == before);
}

TEST_CASE("a child costs one allocation, its frame") {
  const auto coroutine = [](loop& lp) -> task<std::size_t> {
    scope s{lp};
    const std::size_t before = test::allocations;
    for (int i = 0; i < 100; ++i) s.spawn(nothing());
    co_await s.join();
    co_return test::allocations - before;
  };
  loop lp;
  const std::size_t allocated = lp.run(coroutine(lp));
  if (test::counts_allocations) CHECK(allocated == 100);
}

TEST_CASE("children that end are released while the others go on") {
  const auto coroutine = [](loop& lp) -> task<void> {
    int frames = 0, sum = 0;
    scope s{lp};
    s.spawn(sleep_alive(frames));
    co_await yield();
    const std::size_t before = test::outstanding();
    for (int i = 0; i < 100; ++i) s.spawn(add_after(1us, sum, 1));
    while (s.size() > 1) co_await sleep_for(1ms);
    CHECK(test::outstanding() <= before + 2);  // the heap of timers may have grown
    CHECK(sum == 100);
  };
  loop lp;
  lp.run(coroutine(lp));
}

}  // TEST_SUITE("scope")
