// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/coro/when_any.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/sys/bell.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/applies.hpp"
#include "support/patience.hpp"

TEST_SUITE("when_any") {

using namespace ringbell;
using namespace std::chrono_literals;

namespace {

struct alive {
  explicit alive(int& n) : count(n) { ++count; }
  alive(const alive&) = delete;
  ~alive() { --count; }
  int& count;
};

template <class T>
task<T> after(std::chrono::microseconds d, T value) {
  co_await sleep_for(d);
  co_return value;
}
template <class T>
task<T> now(T value) {
  co_return value;
}
task<int> fail_after(std::chrono::microseconds d, const char* what) {
  co_await sleep_for(d);
  throw std::runtime_error(what);
}
task<void> sleep_alive(int& frames) {
  const alive a(frames);
  co_await sleep_for(1h);
}
task<int> slow_to_stop(int& ended) {
  try {
    co_await sleep_for(1h);
  } catch (const std::system_error&) {}
  for (int i = 0; i < 10; ++i) co_await yield();
  ++ended;
  co_return 9;
}

}  // namespace

TEST_CASE("the first to end gives the index and the value") {
  const auto coroutine = []() -> task<void> {
    auto first = co_await when_any(after(1h, 1), after(1ms, std::string("two")), sleep_for(1h));
    CHECK(first.index() == 1);
    CHECK(first.get<1>() == "two");
    CHECK_THROWS_AS(first.get<0>(), std::bad_variant_access);
    CHECK(std::is_same_v<decltype(first), any_result<int, std::string, std::monostate>>);
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE("visit calls with the value of the first") {
  struct name_of {
    std::string operator()(int) const { return "int"; }
    std::string operator()(const std::string& s) const { return s; }
    std::string operator()(std::monostate) const { return "void"; }
  };
  const auto coroutine = []() -> task<void> {
    auto first = co_await when_any(after(1h, 1), sleep_for(1us));
    CHECK(first.visit(name_of()) == "void");
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE("move-only values are moved out") {
  const auto coroutine = []() -> task<int> {
    auto first = co_await when_any(after(1us, std::make_unique<int>(4)), sleep_for(1h));
    const std::unique_ptr<int> p = std::move(first).get<0>();
    co_return *p;
  };
  loop lp;
  CHECK(lp.run(coroutine()) == 4);
}

TEST_CASE("losers are stopped and have ended when when_any returns") {
  const auto coroutine = [](int& frames, int& ended) -> task<void> {
    const auto first = co_await when_any(sleep_alive(frames), slow_to_stop(ended), after(100us, 1));
    CHECK(first.index() == 2);
    CHECK(frames == 0);
    CHECK(ended == 1);
  };
  int frames = 0, ended = 0;
  loop lp;
  lp.run(coroutine(frames, ended));
}

TEST_CASE("when the first throws, the others are stopped and the exception is thrown") {
  const auto coroutine = [](int& frames) -> task<void> {
    co_await when_any(sleep_alive(frames), fail_after(100us, "lost"));
  };
  int frames = 0;
  loop lp;
  CHECK_THROWS_WITH_AS(lp.run(coroutine(frames)), "lost", std::runtime_error);
  CHECK(frames == 0);
}

TEST_CASE("an exception of a loser is dropped") {
  struct coroutines {
    static task<void> bad_loser() {
      try {
        co_await sleep_for(1h);
      } catch (...) {}
      throw std::runtime_error("too late");
    }
    static task<std::size_t> all() {
      const auto first = co_await when_any(bad_loser(), after(10us, 1));
      co_return first.index();
    }
  };
  loop lp;
  CHECK(lp.run(coroutines::all()) == 1);
}

TEST_CASE("once one has ended at once, no other begins") {
  struct coroutines {
    static task<void> begin(bool& begun) {
      begun = true;
      co_return;
    }
    static task<std::size_t> all(bool& begun) {
      const auto first = co_await when_any(now(1), begin(begun));
      co_return first.index();
    }
  };
  bool begun = false;
  loop lp;
  CHECK(lp.run(coroutines::all(begun)) == 0);
  CHECK_FALSE(begun);
}

TEST_CASE("a wait that loses in the very turn in which it was completed has consumed nothing" *
          test::not_on(test::windows,
                       "a wait of the thread pool that ends too late has taken the event")) {
  std::error_code error;
  sys::event_bell a = sys::event_bell::create(error), b = sys::event_bell::create(error);
  REQUIRE_FALSE(error);
  a.ring();
  b.ring();
  const auto coroutine = [](sys::event_bell& x, sys::event_bell& y) -> task<void> {
    const auto first = co_await when_any(wait_for(x), wait_for(y));
    sys::event_bell& other = first.index() == 0 ? y : x;
    co_await timeout(test::patience, wait_for(other));  // was rung, and still is
    const result<void> again = co_await as_result(timeout(1ms, wait_for(other)));
    CHECK(again.error() == errc::timed_out);
  };
  loop lp;
  lp.run(coroutine(a, b));
}

TEST_CASE("a stop reaches all of them, and cancels the whole") {
  const auto coroutine = [](int& frames) -> task<void> {
    const auto r = co_await as_result(timeout(1ms, when_any(sleep_alive(frames), sleep_for(1h))));
    CHECK(r.error() == errc::timed_out);
    CHECK(frames == 0);
  };
  int frames = 0;
  loop lp;
  lp.run(coroutine(frames));
}

TEST_CASE("destroying a suspended when_any destroys all that it awaits") {
  int frames = 0;
  {
    loop lp;
    const auto coroutine = [](int& n) -> task<void> {
      co_await when_any(sleep_alive(n), sleep_alive(n));
    };
    lp.spawn(coroutine(frames));
    lp.run(after(1us, 1));
    CHECK(frames == 2);
  }
  CHECK(frames == 0);
}

}  // TEST_SUITE("when_any")
