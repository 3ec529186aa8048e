// SPDX-License-Identifier: BSL-1.0

// Native tasks as Asio operations. async_run_cancel_test.cpp has what cancels them.

#include <ringbell/ringbell.hpp>

#include "support/asio_driven.hpp"
#include "support/asio_outcome.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

TEST_SUITE("asio async_run") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<void> fail(std::error_code with) {
  co_await sleep_for(1ms);
  throw std::system_error(with);
}

task<void> throw_something() {
  co_await yield();
  throw std::runtime_error("from the task");
}

task<void> run_out_of_memory() {
  co_await yield();
  throw std::bad_alloc();
}

task<void> nothing() { co_return; }

/// Says whether a handler that it is part of is alive.
using guard = std::shared_ptr<int>;

/// Counts what it gives and gets back.
template <class T>
struct counting_allocator {
  using value_type = T;
  explicit counting_allocator(std::ptrdiff_t& in_use, int& given) noexcept
      : bytes(&in_use), times(&given) {}
  template <class U>
  counting_allocator(const counting_allocator<U>& other) noexcept
      : bytes(other.bytes), times(other.times) {}
  T* allocate(std::size_t n) {
    *bytes += static_cast<std::ptrdiff_t>(n * sizeof(T));
    ++*times;
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, std::size_t n) noexcept {
    *bytes -= static_cast<std::ptrdiff_t>(n * sizeof(T));
    std::allocator<T>().deallocate(p, n);
  }
  template <class U>
  bool operator==(const counting_allocator<U>& other) const noexcept {
    return bytes == other.bytes;
  }
  std::ptrdiff_t* bytes;
  int* times;
};

/// A handler with an allocator.
struct allocating_handler {
  using allocator_type = counting_allocator<void>;
  allocator_type get_allocator() const noexcept { return allocator; }
  void operator()(net_error_code) {
    *in_use_when_called = *allocator.bytes;
    *called = true;
  }
  allocator_type allocator;
  std::ptrdiff_t* in_use_when_called;
  bool* called;
};

}  // namespace

TEST_CASE("an Asio coroutine awaits a native task, and gets its value") {
  driven d;
  int value = 0;
  const auto body = [&]() -> net::awaitable<void> {
    const std::unique_ptr<int> made =
        co_await async_run(d.context, d.lp, value_after(7, 1ms), net::use_awaitable);
    value = *made;
    co_await async_run(d.context, d.lp, nothing(), net::use_awaitable);
    d.driving.stop();
  };
  net::co_spawn(d.context, body, rethrow);
  d.context.run();
  CHECK(value == 7);
}

TEST_CASE(
    "a callback, as_tuple, redirect_error, deferred and bind_executor are tokens for a task") {
  driven d;
  int calls = 0;
  async_run(d.context, d.lp, value_after(1, 0ms),
            [&](net_error_code error, std::unique_ptr<int> p) { calls += !error && *p == 1; });
  async_run(d.context, d.lp, value_after(2, 0ms), deferred)(
      [&](net_error_code error, std::unique_ptr<int> p) { calls += !error && *p == 2; });
  const auto strand = net::make_strand(d.context);
  bool on_strand = false;
  async_run(d.context, d.lp, nothing(), net::bind_executor(strand, [&](net_error_code) {
              on_strand = strand.running_in_this_thread();
            }));
  const auto body = [&]() -> net::awaitable<void> {
    auto [error, p] = co_await async_run(d.context.get_executor(), d.lp, value_after(3, 0ms),
                                         as_tuple(net::use_awaitable));
    calls += !error && *p == 3;
    net_error_code failed;
    co_await async_run(d.context.get_executor(), d.lp, fail(errc::peer_closed),
                       net::redirect_error(net::use_awaitable, failed));
    calls += failed == net::error::connection_reset;
  };
  net::co_spawn(d.context, body, rethrow);
  CHECK(run_until(d.context, [&] { return calls == 4 && on_strand; }));
}

TEST_CASE("a future, got in another thread than the one that runs the context") {
  driven d;
  std::thread runner([&] { d.context.run(); });
  std::future<std::unique_ptr<int>> value =
      async_run(d.context, d.lp, value_after(9, 1ms), net::use_future);
  std::future<void> failure =
      async_run(d.context, d.lp, fail(errc::end_of_stream), net::use_future);
  REQUIRE(value.wait_for(patience) == std::future_status::ready);
  CHECK(*value.get() == 9);
  REQUIRE(failure.wait_for(patience) == std::future_status::ready);
  CHECK_THROWS_AS(failure.get(), net_system_error);
  net::post(d.context, [&] { d.driving.stop(); });
  runner.join();
}

TEST_CASE("a task's error is given in Asio's terms, where Asio has a word for it") {
  driven d;
  const auto error_of = [&](std::error_code with) {
    outcome o;
    async_run(d.context, d.lp, fail(with), o.handler());
    CHECK(run_until(d.context, [&] { return o.calls == 1; }));
    return o.error;
  };
  CHECK(error_of(errc::end_of_stream) == net::error::eof);
  CHECK(error_of(errc::closed) == net::error::bad_descriptor);
  CHECK(std_error(error_of(errc::bad_peer)) == errc::bad_peer);
  CHECK(error_of(std::make_error_code(std::errc::permission_denied)) == net::error::access_denied);
  outcome o;
  async_run(d.context, d.lp, run_out_of_memory(), o.handler());
  CHECK(run_until(d.context, [&] { return o.calls == 1; }));
  CHECK(o.error == net::error::no_memory);
}

TEST_CASE(
    "another exception leaves the context's run in place of the handler's call, and everything else goes on") {
  driven d;
  guard g = std::make_shared<int>();
  outcome o, after;
  async_run(d.context, d.lp, throw_something(),
            [h = o.handler(), g](net_error_code e) mutable { h(e); });
  CHECK_THROWS_WITH(d.context.run_for(patience), "from the task");
  CHECK(o.calls == 0);
  CHECK(g.use_count() == 1);
  async_run(d.context, d.lp, nothing(), after.handler());
  CHECK(run_until(d.context, [&] { return after.calls == 1; }));
}

TEST_CASE("a handler is not called from within the initiating function, nor from within the loop") {
  driven d;
  bool initiating = false;
  int calls = 0;
  const auto begin = [&] {
    initiating = true;
    async_run(d.context, d.lp, nothing(), [&](net_error_code) {
      CHECK_FALSE(initiating);
      CHECK(loop::current() == nullptr);
      ++calls;
    });
    initiating = false;
  };
  begin();
  net::post(d.context, begin);
  d.lp.post(begin);
  CHECK(run_until(d.context, [&] { return calls == 3; }));
}

TEST_CASE("a handler may destroy the loop that its task has run on") {
  net::io_context context;
  auto lp = std::make_unique<loop>();
  running_loop driving = run_in(*lp, context);
  async_run(context, *lp, nothing(), [&](net_error_code) {
    driving.stop();
    lp.reset();
  });
  context.run();
  CHECK_FALSE(lp);
}

TEST_CASE("the operation is aborted when the loop is destroyed") {
  net::io_context context;
  auto lp = std::make_unique<loop>();
  running_loop driving = run_in(*lp, context);
  outcome waiting, not_begun;
  async_run(context, *lp, sleep_long(), waiting.handler());
  context.poll();
  async_run(context, *lp, sleep_long(), not_begun.handler());
  context.restart();
  context.poll_one();
  driving.stop();
  lp.reset();
  CHECK(waiting.calls == 0);
  context.restart();
  context.run();
  CHECK(waiting.aborted());
  CHECK(not_begun.aborted());
}

TEST_CASE(
    "the handler is destroyed without being called when the context is destroyed, and the task goes on") {
  loop lp;
  guard g = std::make_shared<int>();
  bool gone = false, ended = false;
  const auto work = [&]() -> task<void> {
    while (!gone) co_await sleep_for(1ms);
    ended = true;
  };
  {
    net::io_context context;
    running_loop driving = run_in(lp, context);
    async_run(context, lp, work(), [g](net_error_code) { FAIL("called"); });
    context.poll();
    driving.stop();
    CHECK(g.use_count() == 2);
  }
  CHECK(g.use_count() == 1);
  gone = true;
  lp.run_until_idle();
  CHECK(ended);
}

TEST_CASE(
    "a context that is destroyed takes a coroutine with it that waits for a task and owns the loop") {
  guard g = std::make_shared<int>();
  {
    net::io_context context;
    const auto body = [](net::io_context& on, guard held) -> net::awaitable<void> {
      loop lp;
      running_loop driving = run_in(lp, on);
      net::steady_timer timer(on);
      co_await async_run(on, lp, sleep_long(), net::use_awaitable);
      held.reset();
    };
    net::co_spawn(context, body(context, g), rethrow);
    context.poll();
    CHECK(g.use_count() == 2);
  }
  CHECK(g.use_count() == 1);
}

TEST_CASE(
    "a context that is destroyed before it has run takes an operation that has not begun with it") {
  guard g = std::make_shared<int>();
  loop lp;
  {
    net::io_context context;
    async_run(context, lp, sleep_long(), [g](net_error_code) { FAIL("called"); });
  }
  CHECK(g.use_count() == 1);
}

TEST_CASE("a handler of another context runs there, and its slot is emitted there") {
  driven d;
  net::io_context other;
  net::cancellation_signal signal;
  std::thread::id called_in;
  outcome o;
  async_run(
      d.context, d.lp, sleep_long(),
      net::bind_cancellation_slot(signal.slot(), net::bind_executor(other, [&](net_error_code e) {
                                    called_in = std::this_thread::get_id();
                                    o.handler()(e);
                                  })));
  std::thread runner([&] { d.context.run(); });
  other.run_for(2ms);  // there is work, and no more
  CHECK(o.calls == 0);
  net::post(other, [&] { signal.emit(net::cancellation_type::terminal); });
  other.restart();
  other.run_for(patience);
  CHECK(o.aborted());
  CHECK(called_in == std::this_thread::get_id());
  net::post(d.context, [&] { d.driving.stop(); });
  runner.join();
}

TEST_CASE("the handler's allocator is used, and has everything back when the handler is called") {
  driven d;
  std::ptrdiff_t in_use = 0, when_called = -1;
  int times = 0;
  bool called = false;
  async_run(d.context, d.lp, nothing(),
            allocating_handler{counting_allocator<void>(in_use, times), &when_called, &called});
  CHECK(in_use > 0);
  CHECK(run_until(d.context, [&] { return called; }));
  CHECK(times >= 1);  // any_io_executor does not hand the allocator on
  CHECK(when_called == 0);
  CHECK(in_use == 0);
}

TEST_CASE("an operation that is destroyed with its context gives its memory back") {
  loop lp;
  std::ptrdiff_t in_use = 0, when_called = -1;
  int times = 0;
  bool called = false;
  {
    net::io_context context;
    async_run(context, lp, nothing(),
              allocating_handler{counting_allocator<void>(in_use, times), &when_called, &called});
    CHECK(in_use > 0);
  }
  CHECK(in_use == 0);
  CHECK_FALSE(called);
}

TEST_CASE("a task runs on a native loop that is its own executor") {
  loop lp;
  outcome o;
  async_run(asio_executor(lp), lp, nothing(), o.handler());
  CHECK(o.calls == 0);
  lp.run_until_idle();
  CHECK(o.calls == 1);
  CHECK_FALSE(o.error);
}

TEST_CASE("a native loop that is its own executor takes the handlers of its tasks with it") {
  guard g = std::make_shared<int>();
  {
    loop lp;
    async_run(asio_executor(lp), lp, sleep_long(), [g](net_error_code) { FAIL("called"); });
    async_run(asio_executor(lp), lp, nothing(), [&](net_error_code) { lp.stop(); });
    lp.run();
    CHECK(g.use_count() == 2);
  }
  CHECK(g.use_count() == 1);
}

TEST_CASE("many tasks at the same time, on a strand of a thread_pool") {
  net::thread_pool pool(3);
  const auto strand = net::make_strand(pool.get_executor());
  loop lp;
  std::optional<running_loop> driving;
  std::promise<void> over;
  int left = 200;
  net::post(strand, [&] {
    driving.emplace(run_in(lp, net::any_io_executor(strand)));
    for (int i = 0; i < 200; ++i)
      async_run(strand, lp, value_after(i, std::chrono::milliseconds(i % 5)),
                net::bind_executor(strand, [&, i](net_error_code error, std::unique_ptr<int> p) {
                  if (!error && *p == i && --left == 0) over.set_value();
                }));
  });
  CHECK(over.get_future().wait_for(patience) == std::future_status::ready);
  net::post(strand, [&] { driving.reset(); });
  pool.join();
}

}  // TEST_SUITE("asio async_run")
