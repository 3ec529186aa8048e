// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>

#include <doctest/doctest.h>

#include "support/allocations.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

TEST_SUITE("task") {

using namespace ringbell;
using namespace std::chrono_literals;

namespace {

/// Counts how many of it live: an object in a coroutine's frame says whether the frame does.
struct alive {
  explicit alive(int& n) : count(n) { ++count; }
  alive(const alive& other) : count(other.count) { ++count; }
  ~alive() { --count; }
  int& count;
};

task<int> value(int v) { co_return v; }
task<int> failing() {
  throw std::runtime_error("on purpose");
  co_return 0;
}
task<int> sum_to(int n) {
  if (n == 0) co_return 0;
  co_return n + co_await sum_to(n - 1);
}
task<void> sleeping(int& frames) {
  const alive a(frames);
  co_await sleep_for(1h);
}
task<void> sleeping_at_depth(int depth, int& frames) {
  const alive a(frames);
  if (depth > 0)
    co_await sleeping_at_depth(depth - 1, frames);
  else
    co_await sleep_for(1h);
}

}  // namespace

TEST_CASE("a task can be moved and not copied") {
  CHECK(std::is_nothrow_move_constructible_v<task<int>>);
  CHECK_FALSE(std::is_copy_constructible_v<task<int>>);
  task<int> a = value(1);
  task<int> b = std::move(a);
  CHECK_FALSE(static_cast<bool>(a));
  CHECK(static_cast<bool>(b));
  a = std::move(b);
  CHECK(loop().run(std::move(a)) == 1);
}

TEST_CASE("a task does not begin before it is awaited") {
  bool begun = false;
  const auto coroutine = [](bool& flag) -> task<void> {
    flag = true;
    co_return;
  };
  task<void> t = coroutine(begun);
  CHECK_FALSE(begun);
  loop().run(std::move(t));
  CHECK(begun);
}

TEST_CASE("values, references and move-only results travel") {
  struct coroutines {
    static task<int&> reference(int& r) { co_return r; }
    static task<std::unique_ptr<int>> pointer() { co_return std::make_unique<int>(3); }
    static task<void> all() {
      int x = 1;
      int& r = co_await reference(x);
      CHECK(&r == &x);
      const std::unique_ptr<int> p = co_await pointer();
      CHECK(*p == 3);
      CHECK(co_await value(2) == 2);
    }
  };
  loop().run(coroutines::all());
}

TEST_CASE("an exception is thrown where the task is awaited, through any number of tasks") {
  struct coroutines {
    static task<int> through(int depth) {
      co_return depth == 0 ? 0 : 1 + co_await through_or_fail(depth - 1);
    }
    static task<int> through_or_fail(int depth) {
      if (depth == 0) co_return co_await failing();
      co_return co_await through(depth);
    }
  };
  loop lp;
  CHECK_THROWS_WITH_AS(lp.run(coroutines::through(5)), "on purpose", std::runtime_error);
}

TEST_CASE("a caught exception leaves the awaiting task going") {
  struct coroutines {
    static task<std::string> catching() {
      std::string what;
      try {
        co_await failing();
      } catch (const std::runtime_error& e) {
        what = e.what();
      }
      co_await sleep_for(1us);
      co_return what;
    }
  };
  CHECK(loop().run(coroutines::catching()) == "on purpose");
}

TEST_CASE("a task that is dropped without being awaited releases its frame and arguments") {
  int frames = 0;
  {
    const auto coroutine = [](alive) -> task<void> { co_return; };
    const task<void> t = coroutine(alive(frames));
    CHECK(frames == 1);
  }
  CHECK(frames == 0);
}

TEST_CASE("destroying a suspended task destroys everything it awaits, and its wait is forgotten") {
  int frames = 0;
  const std::size_t before = test::outstanding();
  {
    loop lp;
    lp.spawn(sleeping_at_depth(20, frames));
    lp.run(value(1));
    lp.run(value(1));
    CHECK(frames == 21);
  }
  CHECK(frames == 0);
  CHECK(test::outstanding() == before);
}

TEST_CASE("a task whose run was stopped is destroyed") {
  int frames = 0;
  loop lp;
  lp.post([&] { lp.stop(); });
  CHECK_THROWS_AS(lp.run(sleeping(frames)), std::system_error);
  CHECK(frames == 0);
  CHECK(lp.run(value(5)) == 5);
}

TEST_CASE("a million awaits that never suspend need no stack") {
  struct coroutines {
    static task<std::int64_t> loop_of_awaits() {
      std::int64_t sum = 0;
      for (int i = 0; i < 1000000; ++i) sum += co_await value(i);
      co_return sum;
    }
  };
  CHECK(loop().run(coroutines::loop_of_awaits()) == 499999500000);
}

TEST_CASE("a hundred thousand awaits that suspend, or fail, need no stack, however deep they are") {
  struct coroutines {
    static task<int> maybe_suspended(int i) {
      if (i % 3 == 0) co_await yield();
      if (i % 3 == 1) throw std::runtime_error("on purpose");
      co_return 1;
    }
    static task<int> loop_of_awaits(int depth) {
      if (depth > 0) co_return co_await loop_of_awaits(depth - 1);
      int caught = 0;
      for (int i = 0; i < 100000; ++i) try {
          co_await maybe_suspended(i);
        } catch (const std::runtime_error&) {
          ++caught;
        }
      co_return caught;
    }
  };
  for (const int depth : {0, 29, 30, 31, 32, 33})
    CHECK(loop().run(coroutines::loop_of_awaits(depth)) == 33333);
}

TEST_CASE("a chain of a hundred thousand tasks needs no stack on its way down, nor up") {
  struct coroutines {
    static task<int> chain(int n) {
      if (n == 0) {
        co_await yield();
        co_return 0;
      }
      co_return 1 + co_await chain(n - 1);
    }
  };
  CHECK(loop().run(coroutines::chain(100000)) == 100000);
  CHECK(loop().run(sum_to(60000)) == 1800030000);
}

TEST_CASE("a chain is destroyed while its last task waits for the loop to begin it") {
  int frames = 0;
  {
    loop lp;
    lp.spawn(sleeping_at_depth(100, frames));
    lp.run(value(0));
    CHECK(frames > 0);
  }
  CHECK(frames == 0);
}

TEST_CASE("a task may be destroyed by what it waits for, within the call that began it") {
  struct destroys {
    explicit destroys(std::optional<scope>& s) noexcept : all(s) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) noexcept { all.reset(); }
    void await_resume() const noexcept {}
    std::optional<scope>& all;
  };
  struct coroutines {
    static task<void> inner(std::optional<scope>& all, int& frames) {
      const alive a(frames);
      co_await destroys(all);
    }
    static task<void> outer(std::optional<scope>& all, int& frames) {
      const alive a(frames);
      co_await inner(all, frames);
    }
  };
  int frames = 0;
  loop lp;
  std::optional<scope> all(lp);
  all->spawn(coroutines::outer(all, frames));
  while (all) lp.run([]() -> task<void> { co_await yield(); }());
  CHECK(frames == 0);
}

TEST_CASE("a chain of ten thousand tasks ends") { CHECK(loop().run(sum_to(10000)) == 50005000); }

TEST_CASE("a chain of ten thousand suspended tasks is destroyed") {
  int frames = 0;
  {
    loop lp;
    lp.spawn(sleeping_at_depth(10000, frames));
    for (int turns = 0; frames < 10001 && turns < 10001; ++turns) lp.run(value(0));
    CHECK(frames == 10001);
  }
  CHECK(frames == 0);
}

TEST_CASE("a task hands its context to the tasks that it awaits") {
  struct coroutines {
    static task<coroutine_context> innermost() { co_return co_await current_context(); }
    static task<coroutine_context> outer() { co_return co_await innermost(); }
  };
  loop lp;
  const coroutine_context context = lp.run(coroutines::outer());
  CHECK(context.scheduler == &lp);
  CHECK_FALSE(context.stop.stop_possible());
}

TEST_CASE("a task allocates its frame and nothing else") {
  loop lp;
  lp.run(value(1));
  const std::size_t before = test::allocations;
  const int v = lp.run(value(7));
  const std::size_t after = test::allocations;
  CHECK(v == 7);
  if (test::counts_allocations) CHECK(after - before == 1);
}

TEST_CASE("ringbell's awaitables work in a coroutine type of somebody else's") {
  struct detached {
    struct promise_type {
      detached get_return_object() noexcept { return {}; }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      std::suspend_never final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      void unhandled_exception() const noexcept { std::terminate(); }
    };
  };
  loop lp;
  int steps = 0;
  const auto coroutine = [](int& n, loop& l) -> detached {
    ++n;
    co_await sleep_for(1ms);
    ++n;
    const int awaited = co_await value(40);
    n += awaited;
    l.stop();
  };
  lp.post([&] { coroutine(steps, lp); });
  lp.run();
  CHECK(steps == 42);
}

TEST_CASE("awaiting outside of a loop is refused") {
  struct eager {
    struct promise_type {
      eager get_return_object() noexcept { return {}; }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      std::suspend_never final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      void unhandled_exception() const { throw; }
    };
  };
  bool refused = false;
  const auto coroutine = [](bool& flag) -> eager {
    try {
      co_await sleep_for(1ms);
    } catch (const std::logic_error&) {
      flag = true;
    }
  };
  coroutine(refused);
  CHECK(refused);
}

}  // TEST_SUITE("task")
