// SPDX-License-Identifier: BSL-1.0

// Native tasks as Asio operations that are cancelled.

#include <ringbell/ringbell.hpp>

#include "support/asio_driven.hpp"
#include "support/asio_outcome.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <system_error>
#include <thread>

TEST_SUITE("asio async_run_cancel") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

TEST_CASE("cancellation of any type stops the task, and the operation is aborted") {
  for (const auto type : {net::cancellation_type::terminal, net::cancellation_type::partial,
                          net::cancellation_type::total}) {
    driven d;
    net::cancellation_signal signal;
    outcome o;
    async_run(d.context, d.lp, sleep_long(),
              net::bind_cancellation_slot(signal.slot(), o.handler()));
    for (int i = 0; i < 10; ++i) d.context.poll_one();
    CHECK(o.calls == 0);
    signal.emit(type);
    CHECK(o.calls == 0);
    CHECK(run_until(d.context, [&] { return o.calls == 1; }));
    CHECK(o.aborted());
    CHECK_FALSE(signal.slot().has_handler());
  }
}

TEST_CASE("an operation that is cancelled before its task has begun does not begin to wait") {
  driven d;
  net::cancellation_signal signal;
  outcome o;
  async_run(d.context, d.lp, sleep_long(), net::bind_cancellation_slot(signal.slot(), o.handler()));
  signal.emit(net::cancellation_type::total);
  CHECK(run_until(d.context, [&] { return o.calls == 1; }));
  CHECK(o.aborted());
}

TEST_CASE("a task that has a value in spite of the cancellation gives it") {
  driven d;
  net::cancellation_signal signal;
  const auto stubborn = []() -> task<int> {
    try {
      co_await sleep_for(1h);
    } catch (const std::system_error&) {}
    co_return 5;
  };
  int value = 0;
  async_run(d.context, d.lp, stubborn(),
            net::bind_cancellation_slot(signal.slot(), [&](net_error_code error, int v) {
              CHECK_FALSE(error);
              value = v;
            }));
  for (int i = 0; i < 10; ++i) d.context.poll_one();
  signal.emit(net::cancellation_type::terminal);
  CHECK(run_until(d.context, [&] { return value == 5; }));
}

TEST_CASE("a race with a timer cancels the task, and waits until it has ended") {
  driven d;
  bool ended = false;
  const auto work = [&]() -> task<void> {
    struct at_end {
      bool& set;
      ~at_end() { set = true; }
    } const noted{ended};
    co_await sleep_for(1h);
  };
  bool timer_won = false;
  const auto body = [&]() -> net::awaitable<void> {
    net::steady_timer timer(d.context, 2ms);
    const auto first = co_await (async_run(d.context, d.lp, work(), net::use_awaitable) ||
                                 timer.async_wait(net::use_awaitable));
    CHECK(ended);
    timer_won = first.index() == 1;
    d.driving.stop();
  };
  net::co_spawn(d.context, body, rethrow);
  d.context.run();
  CHECK(timer_won);
}

TEST_CASE("an emission that comes after the context and the loop have gone does nothing") {
  net::cancellation_signal signal;
  {
    driven d;
    async_run(net::make_strand(d.context), d.lp, sleep_long(),
              net::bind_cancellation_slot(signal.slot(), [](net_error_code) {}));
    d.context.poll();
  }
  signal.emit(net::cancellation_type::terminal);
}

TEST_CASE(
    "operations that are begun and cancelled in one thread while another runs the loop lose nothing") {
  driven d;
  std::thread runner([&] { d.context.run(); });
  net::io_context other;
  int ended = 0;
  const int rounds = 300;
  for (int i = 0; i < rounds; ++i) {
    net::cancellation_signal signal;
    bool done = false;
    async_run(d.context, d.lp, value_after(i, i % 2 ? 0ms : 1h),
              net::bind_cancellation_slot(
                  signal.slot(),
                  net::bind_executor(other, [&](net_error_code error, std::unique_ptr<int> p) {
                    done = true;
                    if (error ? error == net::error::operation_aborted : *p == i) ++ended;
                  })));
    if (i % 3)
      net::post(other, [&] { signal.emit(net::cancellation_type::total); });
    else if (i % 2 == 0)
      signal.emit(net::cancellation_type::terminal);
    REQUIRE(run_until(other, [&] { return done; }));
  }
  CHECK(ended == rounds);
  net::post(d.context, [&] { d.driving.stop(); });
  runner.join();
}

}  // TEST_SUITE("asio async_run_cancel")
