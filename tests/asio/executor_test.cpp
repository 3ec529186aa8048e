// SPDX-License-Identifier: BSL-1.0

// A native loop as an Asio executor.

#include <ringbell/ringbell.hpp>

#include "support/asio.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

TEST_SUITE("asio executor") {

namespace net = ringbell::net;
using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

net::const_buffer buffer_of(const message& m) { return {m.data(), m.size()}; }

static_assert(net::execution::is_executor<asio_executor>::value);
static_assert(std::is_convertible_v<asio_executor, net::any_io_executor>);
static_assert(noexcept(std::declval<const asio_executor&>() ==
                       std::declval<const asio_executor&>()));

}  // namespace

TEST_CASE(
    "executors of one loop are equal and share their context, those of two are not and do not") {
  loop a;
  loop b;
  CHECK(asio_executor(a) == asio_executor(a));
  CHECK_FALSE(asio_executor(a) == asio_executor(b));
  CHECK(&net::query(asio_executor(a), net::execution::context) ==
        &net::query(asio_executor(a), net::execution::context));
  CHECK(&net::query(asio_executor(a), net::execution::context) !=
        &net::query(asio_executor(b), net::execution::context));
}

TEST_CASE(
    "what is posted, deferred or dispatched from outside runs on the loop's thread, in its order") {
  loop lp;
  const asio_executor ex(lp);
  std::vector<int> order;
  const auto note = [&](int i) {
    return [&, i] {
      CHECK(loop::current() == &lp);
      order.push_back(i);
    };
  };
  std::thread([&] {
    net::post(ex, note(1));
    net::defer(ex, note(2));
    net::dispatch(ex, note(3));
  }).join();
  CHECK(order.empty());
  lp.run_until_idle();
  CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("dispatch on the loop's thread runs at once, post does not") {
  loop lp;
  const asio_executor ex(lp);
  lp.post([&] {
    bool dispatched = false;
    bool posted = false;
    net::dispatch(ex, [&] { dispatched = true; });
    net::post(ex, [&] { posted = true; });
    CHECK(dispatched);
    CHECK_FALSE(posted);
  });
  lp.run_until_idle();
}

TEST_CASE("functions that only move can be executed") {
  loop lp;
  int seen = 0;
  net::post(asio_executor(lp), [p = std::make_unique<int>(7), &seen] { seen = *p; });
  lp.run_until_idle();
  CHECK(seen == 7);
}

TEST_CASE("announced work keeps a loop from being idle") {
  loop lp;
  std::atomic<bool> ran{false};
  std::promise<void> running;
  lp.post([&] { running.set_value(); });
  auto work = net::prefer(asio_executor(lp), net::execution::outstanding_work.tracked);
  std::thread other([&, w = std::move(work)]() mutable {
    running.get_future().wait();
    net::post(w, [&] { ran = true; });
    auto last = std::move(w);  // ends the work, after the post
  });
  // The moved-from copy ends with this scope only.
  work = asio_executor(lp);
  lp.run_until_idle();
  CHECK(ran);
  other.join();
}

TEST_CASE("coroutines, timers and strands of Asio run on a loop, beside its own tasks") {
  loop lp;
  const asio_executor ex(lp);
  std::vector<std::string> seen;
  const auto body = [&]() -> net::awaitable<void> {
    CHECK(loop::current() == &lp);
    net::steady_timer timer(co_await net::this_coro::executor, 2ms);
    co_await timer.async_wait(net::use_awaitable);
    CHECK(loop::current() == &lp);
    seen.push_back("timer");
  };
  const auto strand = net::make_strand(ex);
  net::co_spawn(ex, body(), rethrow);
  net::co_spawn(strand, body(), rethrow);
  net::post(strand, [&] {
    CHECK(strand.running_in_this_thread());
    seen.push_back("strand");
  });
  const auto native = [](std::vector<std::string>& to) -> task<void> {
    co_await sleep_for(1ms);
    to.push_back("native");
  };
  lp.spawn(native(seen));
  lp.run_until_idle();
  std::sort(seen.begin(), seen.end());
  CHECK(seen == std::vector<std::string>{"native", "strand", "timer", "timer"});
}

TEST_CASE(
    "channels of Asio run on a loop, with native ones at the other end and on the same loop") {
  loop lp;
  const temporary_folder folder;
  const std::string name = folder / "service";
  int echoed = 0;
  const auto serve = [&]() -> net::awaitable<void> {
    asio_listener listener(co_await net::this_coro::executor, name);
    asio_channel ch = co_await listener.async_accept(net::use_awaitable);
    while (auto m = co_await ch.recv()) co_await ch.send(buffer_of(*m));
  };
  const auto ask = [&]() -> task<void> {
    channel ch = co_await connect(lp, name);
    for (int i = 0; i < 1000; ++i) {
      const std::string text = "message " + std::to_string(i);
      co_await ch.send(text);
      const auto answer = co_await ch.recv();
      if (answer && answer->text() == text) ++echoed;
    }
  };
  net::co_spawn(asio_executor(lp), serve(), rethrow);
  lp.spawn(ask());
  lp.run_until_idle();
  CHECK(echoed == 1000);
}

TEST_CASE("a coroutine that is waiting when its loop goes is destroyed with it") {
  auto alive = std::make_shared<int>(0);
  {
    loop lp;
    const auto body = [](std::shared_ptr<int> held) -> net::awaitable<void> {
      net::steady_timer timer(co_await net::this_coro::executor, 1h);
      co_await timer.async_wait(net::use_awaitable);
      ++*held;
    };
    net::co_spawn(asio_executor(lp), body(alive), net::detached);
    net::post(asio_executor(lp), [&lp] { lp.stop(); });
    lp.run();
    // Never run at all:
    net::co_spawn(asio_executor(lp), body(alive), net::detached);
    net::post(asio_executor(lp), [held = alive] { ++*held; });
    CHECK(alive.use_count() > 1);
  }
  CHECK(alive.use_count() == 1);
  CHECK(*alive == 0);
}

TEST_CASE("a work guard for a loop that was moved lets the loop become idle when it goes") {
  loop lp;
  bool ended = false;
  {
    auto first = net::make_work_guard(asio_executor(lp));
    const auto second = std::move(first);
    lp.post([&] { lp.stop(); });
    lp.run_until_idle();  // stopped, not idle
  }
  lp.post([&] { ended = true; });
  lp.run_until_idle();
  CHECK(ended);
}

}  // TEST_SUITE("asio executor")
