// SPDX-License-Identifier: BSL-1.0

// Asio's coroutines awaited by native ones.

#include <ringbell/ringbell.hpp>

#include "support/asio.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

TEST_SUITE("asio from_asio") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

net::awaitable<std::unique_ptr<int>> make(int value) {
  net::steady_timer timer(co_await net::this_coro::executor, 1ms);
  co_await timer.async_wait(net::use_awaitable);
  co_return std::make_unique<int>(value);
}

net::awaitable<void> wait(std::chrono::milliseconds time) {
  net::steady_timer timer(co_await net::this_coro::executor, time);
  co_await timer.async_wait(net::use_awaitable);
}

net::awaitable<int> at_once(int value) { co_return value; }

net::awaitable<void> throw_something() {
  co_await wait(1ms);
  throw std::runtime_error("from Asio");
}

net::awaitable<void> fail() {
  co_await wait(1ms);
  throw net_system_error(net::error::eof);
}

/// Says when it is destroyed.
struct at_end {
  explicit at_end(bool& b) noexcept : set(&b) {}
  at_end(at_end&& other) noexcept : set(std::exchange(other.set, nullptr)) {}
  ~at_end() {
    if (set) *set = true;
  }
  bool* set;
};

net::awaitable<int> wait_long(at_end) {
  co_await wait(1h);
  co_return 1;
}

/// Goes on when it is cancelled, and has a value in the end.
net::awaitable<int> wait_stubbornly() {
  net::steady_timer timer(co_await net::this_coro::executor, 1h);
  net_error_code ignored;
  co_await timer.async_wait(net::redirect_error(net::use_awaitable, ignored));
  co_return 5;
}

/// Runs a native task on a loop that a context drives, until it has ended.
template <class Body>
void run_driven(Body body) {
  net::io_context context;
  loop lp;
  running_loop driving = run_in(lp, context);
  std::exception_ptr failed;
  const auto all = [&]() -> task<void> {
    try {
      co_await body(context);
    } catch (...) {
      failed = std::current_exception();
    }
    driving.stop();
  };
  lp.spawn(all());
  context.run_for(patience);
  REQUIRE(context.stopped());
  if (failed) std::rethrow_exception(failed);
}

}  // namespace

TEST_CASE("a native task awaits an Asio coroutine, and gets its value") {
  int value = 0;
  run_driven([&](net::io_context& context) -> task<void> {
    const std::unique_ptr<int> made = co_await from_asio(context, make(7));
    value = *made;
    value += co_await from_asio(context.get_executor(), at_once(10));
    co_await from_asio(net::make_strand(context), wait(1ms));
  });
  CHECK(value == 17);
}

TEST_CASE("an Asio coroutine's exception is thrown in the native task") {
  CHECK_THROWS_WITH(run_driven([](net::io_context& context) -> task<void> {
                      co_await from_asio(context, throw_something());
                    }),
                    "from Asio");
}

TEST_CASE("Asio's system_error is a std::system_error in the native task, with the same code") {
  bool same = false;
  run_driven([&](net::io_context& context) -> task<void> {
    const result<void> r = co_await as_result(from_asio(context, fail()));
    same = r.error() == std_error(net::error::eof);
  });
  CHECK(same);
}

TEST_CASE("a stop cancels the Asio coroutine, which has ended when the native task goes on") {
  bool ended = false, cancelled = false;
  run_driven([&](net::io_context& context) -> task<void> {
    const auto waiting = [&]() -> task<void> {
      try {
        co_await from_asio(context, wait_long(at_end(ended)));
      } catch (const std::system_error& error) {
        cancelled = error.code() == errc::cancelled && ended;
      }
    };
    co_await when_any(waiting(), sleep_for(2ms));
  });
  CHECK(cancelled);
}

TEST_CASE("a timeout over an Asio coroutine is a timeout") {
  bool ended = false;
  run_driven([&](net::io_context& context) -> task<void> {
    try {
      co_await timeout(2ms, from_asio(context, wait_long(at_end(ended))));
      FAIL("no timeout");
    } catch (const std::system_error& error) {
      CHECK(error.code() == errc::timed_out);
    }
  });
  CHECK(ended);
}

TEST_CASE("a value that the Asio coroutine has in spite of the stop is given") {
  int value = 0;
  run_driven([&](net::io_context& context) -> task<void> {
    value = co_await timeout(2ms, from_asio(context, wait_stubbornly()));
  });
  CHECK(value == 5);
}

TEST_CASE("nothing is begun when a stop was requested before") {
  bool ended = false, cancelled = false, begun = false;
  run_driven([&](net::io_context& context) -> task<void> {
    const auto start = [&]() -> net::awaitable<void> {
      begun = true;
      co_return;
    };
    scope s(*loop::current());
    s.request_stop();
    const auto child = [&]() -> task<void> {
      const result<void> r = co_await as_result(from_asio(context, start()));
      cancelled = r.error() == errc::cancelled;
    };
    s.spawn(child());
    co_await s.join();
    ended = true;
  });
  CHECK(ended);
  CHECK(cancelled);
  CHECK_FALSE(begun);
}

TEST_CASE("a native task that is destroyed cancels the Asio coroutine, which ends later") {
  net::io_context context;
  bool ended = false;
  const auto waiting = [](net::io_context& on, bool& set) -> task<void> {
    co_await from_asio(on, wait_long(at_end(set)));
  };
  {
    loop lp;
    lp.spawn(waiting(context, ended));
    lp.run_ready();
    context.poll();
    CHECK_FALSE(ended);
  }
  context.restart();
  context.run_for(patience);
  CHECK(context.stopped());
  CHECK(ended);
}

TEST_CASE(
    "a native task that is destroyed when the Asio coroutine has ended, but before it could go on") {
  net::io_context context;
  const auto waiting = [](net::io_context& on) -> task<void> {
    co_await from_asio(on, at_once(1));
  };
  {
    loop lp;
    lp.spawn(waiting(context));
    lp.run_ready();
    context.run();
  }
}

TEST_CASE("a context that is destroyed ends the wait with errc::cancelled") {
  loop lp;
  bool ended = false, cancelled = false;
  {
    net::io_context context;
    const auto waiting = [](net::io_context& on, bool& set, bool& was_cancelled) -> task<void> {
      try {
        co_await from_asio(net::make_strand(on), wait_long(at_end(set)));
      } catch (const std::system_error& error) {
        was_cancelled = error.code() == errc::cancelled;
      }
    };
    lp.spawn(waiting(context, ended, cancelled));
    lp.run_ready();
    context.poll();
    CHECK_FALSE(ended);
  }
  CHECK(ended);
  lp.run_until_idle();
  CHECK(cancelled);
}

TEST_CASE("a native task may be destroyed after the context whose coroutine it has waited for") {
  bool ended = false;
  loop lp;
  {
    net::io_context context;
    const auto waiting = [](net::io_context& on, bool& set) -> task<void> {
      co_await from_asio(net::make_strand(on), wait_long(at_end(set)));
    };
    lp.spawn(waiting(context, ended));
    lp.run_ready();
    context.poll();
  }
  CHECK(ended);
}

TEST_CASE("the coroutine may run in another thread than the loop") {
  net::io_context context;
  auto busy = net::make_work_guard(context);
  std::thread other([&] { context.run(); });
  loop lp;
  const auto body = [&]() -> task<int> {
    int sum = 0;
    for (int i = 0; i < 200; ++i) {
      sum += co_await from_asio(context, at_once(1));
      if (i % 20 == 0) co_await from_asio(context, wait(1ms));
    }
    co_return sum;
  };
  CHECK(lp.run(body()) == 200);
  busy.reset();
  other.join();
}

TEST_CASE("stops and ends in two threads cross each other") {
  net::io_context context;
  auto busy = net::make_work_guard(context);
  std::thread other([&] { context.run(); });
  loop lp;
  const auto body = [&]() -> task<int> {
    int ended = 0;
    for (int i = 0; i < 200; ++i) {
      // A short wait that is stopped about when it ends.
      const result<void> r = co_await as_result(
          timeout(std::chrono::microseconds(900 + i), from_asio(context, wait(1ms))));
      if (!r.error() || r.error() == errc::timed_out) ++ended;
    }
    co_return ended;
  };
  CHECK(lp.run(body()) == 200);
  busy.reset();
  other.join();
}

TEST_CASE("native tasks are destroyed in one thread while their coroutines end in another") {
  net::io_context context;
  auto busy = net::make_work_guard(context);
  std::thread other([&] { context.run(); });
  for (int i = 0; i < 100; ++i) {
    loop lp;
    const auto waiting = [](net::io_context& on) -> task<void> {
      co_await from_asio(on, at_once(1));
    };
    const auto main = []() -> task<void> {
      co_await yield();
      co_await yield();
    };
    lp.spawn(waiting(context));
    lp.spawn(waiting(context));
    lp.run(main());
  }
  busy.reset();
  other.join();
}

TEST_CASE("the coroutine may run on the native loop itself") {
  loop lp;
  const auto body = [&]() -> task<int> {
    co_return co_await from_asio(asio_executor(lp), at_once(3));
  };
  CHECK(lp.run(body()) == 3);
}

TEST_CASE("there and back again: a task that awaits a coroutine that awaits a task") {
  int value = 0;
  run_driven([&](net::io_context& context) -> task<void> {
    loop& lp = *loop::current();
    const auto innermost = []() -> task<int> {
      co_await sleep_for(1ms);
      co_return 4;
    };
    const auto inner = [&]() -> net::awaitable<int> {
      co_return co_await async_run(context, lp, innermost(), net::use_awaitable);
    };
    value = co_await from_asio(context, inner());
  });
  CHECK(value == 4);
}

TEST_CASE("a stop goes there and back again") {
  bool timed_out = false;
  run_driven([&](net::io_context& context) -> task<void> {
    loop& lp = *loop::current();
    const auto innermost = []() -> task<int> {
      co_await sleep_for(1h);
      co_return 4;
    };
    const auto inner = [&]() -> net::awaitable<int> {
      co_return co_await async_run(context, lp, innermost(), net::use_awaitable);
    };
    const result<int> r = co_await as_result(timeout(2ms, from_asio(context, inner())));
    timed_out = r.error() == errc::timed_out;
  });
  CHECK(timed_out);
}

}  // TEST_SUITE("asio from_asio")
