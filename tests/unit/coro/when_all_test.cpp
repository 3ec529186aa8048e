// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/loop/loop.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/patience.hpp"

TEST_SUITE("when_all") {

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
task<int> fail_after(std::chrono::microseconds d, const char* what) {
  co_await sleep_for(d);
  throw std::runtime_error(what);
}
task<int> fail_now(const char* what) {
  throw std::runtime_error(what);
  co_return 0;
}
task<void> sleep_alive(int& frames) {
  const alive a(frames);
  co_await sleep_for(1h);
}
task<void> begin(bool& begun) {
  begun = true;
  co_return;
}
task<int&> reference(int& r) { co_return r; }

}  // namespace

TEST_CASE("the values come in the order of the arguments, whoever ends first") {
  const auto coroutine = []() -> task<void> {
    const auto [a, b, c] =
        co_await when_all(after(3ms, 1), after(1us, std::string("two")), after(1ms, 3.0));
    CHECK(a == 1);
    CHECK(b == "two");
    CHECK(c == 3.0);
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE(
    "void gives std::monostate, a reference std::reference_wrapper, and move-only values are moved") {
  const auto coroutine = []() -> task<void> {
    int x = 5;
    auto values =
        co_await when_all(sleep_for(1us), reference(x), after(1us, std::make_unique<int>(7)));
    CHECK(std::is_same_v<decltype(values), std::tuple<std::monostate, std::reference_wrapper<int>,
                                                      std::unique_ptr<int>>>);
    CHECK(&std::get<1>(values).get() == &x);
    CHECK(*std::get<2>(values) == 7);
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE("all wait at the same time") {
  struct coroutines {
    static task<void> meet(int& present, int expected) {
      ++present;
      while (present < expected) co_await sleep_for(100us);
    }
    static task<void> all(int& present) {
      co_await when_all(meet(present, 4), meet(present, 4), meet(present, 4), meet(present, 4));
    }
  };
  int present = 0;
  loop lp;
  lp.run(timeout(test::patience, coroutines::all(present)));
  CHECK(present == 4);
}

TEST_CASE("the first exception wins, after the others were stopped and have ended") {
  const auto coroutine = [](int& frames) -> task<void> {
    co_await when_all(sleep_alive(frames), fail_after(100us, "first"), fail_after(1h, "never"),
                      sleep_for(1h));
  };
  int frames = 0;
  loop lp;
  CHECK_THROWS_WITH_AS(lp.run(coroutine(frames)), "first", std::runtime_error);
  CHECK(frames == 0);
}

TEST_CASE("what comes after an argument that fails at once does not begin") {
  const auto coroutine = [](bool& begun) -> task<void> {
    co_await when_all(fail_now("at once"), begin(begun));
  };
  bool begun = false;
  loop lp;
  CHECK_THROWS_WITH_AS(lp.run(coroutine(begun)), "at once", std::runtime_error);
  CHECK_FALSE(begun);
}

TEST_CASE("a stop reaches all of them, and cancels the whole") {
  struct coroutines {
    static task<void> all(int& frames) {
      co_await when_all(sleep_alive(frames), sleep_alive(frames));
    }
    static task<void> run(int& frames) {
      const result<void> r = co_await as_result(timeout(1ms, all(frames)));
      CHECK(r.error() == errc::timed_out);
      CHECK(frames == 0);
    }
  };
  int frames = 0;
  loop lp;
  lp.run(coroutines::run(frames));
}

TEST_CASE("a vector of tasks gives a vector of values in its order") {
  const auto coroutine = []() -> task<void> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 100; ++i)
      tasks.push_back(after(std::chrono::microseconds(1000 - 10 * i), i));
    const std::vector<int> values = co_await when_all(std::move(tasks));
    REQUIRE(values.size() == 100);
    for (int i = 0; i < 100; ++i) CHECK(values[static_cast<std::size_t>(i)] == i);
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE("an empty vector gives an empty vector") {
  const auto coroutine = []() -> task<std::size_t> {
    std::vector<task<int>> none;
    const std::vector<int> values = co_await when_all(std::move(none));
    co_return values.size();
  };
  loop lp;
  CHECK(lp.run(coroutine()) == 0);
}

TEST_CASE("a vector of tasks without values is awaited, and its first exception thrown") {
  const auto coroutine = [](int& frames) -> task<void> {
    std::vector<task<void>> good;
    for (int i = 0; i < 3; ++i) good.push_back([]() -> task<void> { co_await sleep_for(1us); }());
    co_await when_all(std::move(good));
    std::vector<task<void>> bad;
    bad.push_back(sleep_alive(frames));
    bad.push_back([]() -> task<void> { co_await fail_after(1us, "in a vector"); }());
    co_await when_all(std::move(bad));
  };
  int frames = 0;
  loop lp;
  CHECK_THROWS_WITH_AS(lp.run(coroutine(frames)), "in a vector", std::runtime_error);
  CHECK(frames == 0);
}

TEST_CASE("destroying a suspended when_all destroys all that it awaits") {
  int frames = 0;
  {
    loop lp;
    const auto coroutine = [](int& n) -> task<void> {
      co_await when_all(sleep_alive(n), sleep_alive(n));
    };
    lp.spawn(coroutine(frames));
    lp.run(after(1us, 1));
    CHECK(frames == 2);
  }
  CHECK(frames == 0);
}

}  // TEST_SUITE("when_all")
