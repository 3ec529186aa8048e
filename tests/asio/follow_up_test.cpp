// SPDX-License-Identifier: BSL-1.0
// Operations that a handler begins run when it has returned, without a pass through the queue, and
// depend on nothing that the handler does.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "support/asio.hpp"
#include "support/turns.hpp"

TEST_SUITE("asio follow_up") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

/// Sends a message and receives it at the other end, again and again: no operation has to wait, and
/// each is begun by the handler of the one before.
template <class Executor>
class chain {
public:
  chain(asio_pair& ends, Executor executor, std::uint64_t rounds)
      : ends_(ends), executor_(std::move(executor)), left_(rounds) {}

  void send() {
    ends_.client.async_send(net::buffer("again"), net::bind_executor(executor_, [this](auto error) {
                              check(error);
                              receive();
                            }));
  }
  bool ended() const noexcept { return left_ == 0; }
  /// Called after each round, in the handler.
  std::function<void()> after_round = [] {};

private:
  void receive() {
    in_initiation_ = true;
    ends_.server.async_recv(net::bind_executor(executor_, [this](auto error, const message& m) {
      check(error);
      if (m.size() != sizeof("again")) throw std::runtime_error("another message");
      --left_;
      after_round();
      if (left_ != 0) send();
    }));
    in_initiation_ = false;
  }
  void check(const net_error_code& error) const {
    if (error) throw net_system_error(error);
    if (in_initiation_) throw std::logic_error("a handler was called by an initiation");
  }

  asio_pair& ends_;
  Executor executor_;
  std::atomic<std::uint64_t> left_;
  bool in_initiation_ = false;
};

/// How often the context calls something until `holds`.
template <class F>
std::uint64_t calls_until(net::io_context& context, F holds) {
  context.restart();
  std::uint64_t calls = 0;
  while (!holds()) calls += context.run_one_for(patience);
  return calls;
}

/// Runs everything on a pool, in whichever of its threads is free. Asio's own executors keep what
/// an operation defers for the thread that has deferred it.
class free_thread_executor {
public:
  explicit free_thread_executor(net::thread_pool& pool) noexcept : pool_(&pool) {}
  template <class Function>
  void execute(Function&& f) const {
    net::post(*pool_, std::forward<Function>(f));
  }
  net::execution_context& query(net::execution::context_t) const noexcept { return *pool_; }
  net::execution::blocking_t query(net::execution::blocking_t) const noexcept {
    return net::execution::blocking.never;
  }
  free_thread_executor require(net::execution::blocking_t::never_t) const noexcept { return *this; }
  friend bool operator==(const free_thread_executor&,
                         const free_thread_executor&) noexcept = default;

private:
  net::thread_pool* pool_;
};

template <class Executor>
void passes_the_queue_seldom(net::io_context& context, const Executor& executor) {
  asio_pair ends = connected(context);
  constexpr std::uint64_t rounds = 1000;
  chain c(ends, executor, rounds);
  c.send();
  // Two operations a round. On a slow machine a frame ends after two, on others after 32.
  CHECK(calls_until(context, [&] { return c.ended(); }) < rounds * 3 / 2);
}

}  // namespace

// -- what it is for --

TEST_CASE("a chain of operations passes the queue once for many") {
  net::io_context context;
  SUBCASE("on the executor of a context") {
    passes_the_queue_seldom(context, context.get_executor());
  }
  SUBCASE("on any executor") {
    passes_the_queue_seldom(context, net::any_io_executor(context.get_executor()));
  }
  SUBCASE("on a strand") { passes_the_queue_seldom(context, net::make_strand(context)); }
}

TEST_CASE("the executor's other work has its turn while a chain goes on") {
  net::io_context context;
  asio_pair ends = connected(context);
  chain c(ends, context.get_executor(), UINT64_MAX);
  std::uint64_t rounds = 0;
  c.after_round = [&] { ++rounds; };
  c.send();
  std::uint64_t at_turn[3] = {};
  unsigned turn = 0;
  const std::function<void()> other = [&] {
    at_turn[turn] = rounds;
    if (++turn < 3)
      net::post(context, other);
    else
      context.stop();
  };
  net::post(context, other);
  context.restart();
  context.run_for(patience);
  REQUIRE(turn == 3);
  CHECK(at_turn[1] - at_turn[0] <= 32);
  CHECK(at_turn[2] - at_turn[1] <= 32);
}

TEST_CASE("a chain of slow handlers ends early") {
  net::io_context context;
  asio_pair ends = connected(context);
  chain c(ends, context.get_executor(), 20);
  int in_a_row = 0, longest = 0;
  c.after_round = [&] {
    longest = std::max(longest, ++in_a_row);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  c.send();
  const std::function<void()> other = [&] {
    in_a_row = 0;
    if (!c.ended()) net::post(context, other);
  };
  net::post(context, other);
  CHECK(run_until(context, [&] { return c.ended(); }));
  CHECK(longest <= 4);
}

TEST_CASE("after stop() no more than the rest of the chain runs") {
  net::io_context context;
  asio_pair ends = connected(context);
  chain c(ends, context.get_executor(), UINT64_MAX);
  std::uint64_t rounds = 0;
  c.after_round = [&] {
    if (++rounds == 100) context.stop();
  };
  c.send();
  context.restart();
  context.run_for(patience);
  CHECK(rounds >= 100);
  CHECK(rounds <= 100 + 32);
}

// -- executors --

TEST_CASE("a handler with another executor runs on its own") {
  net::io_context context;
  asio_pair ends = connected(context);
  const auto strand = net::make_strand(context);
  const auto other = net::make_strand(context);
  bool on_strand = false, on_other = false, not_on_strand = true;
  ends.client.async_send(
      net::buffer("to the server"), net::bind_executor(strand, [&](net_error_code) {
        on_strand = strand.running_in_this_thread();
        ends.server.async_recv(net::bind_executor(other, [&](net_error_code, const message&) {
          on_other = other.running_in_this_thread();
          not_on_strand = !strand.running_in_this_thread();
        }));
      }));
  context.restart();
  context.run_for(patience);
  CHECK(on_strand);
  CHECK(on_other);
  CHECK(not_on_strand);
}

TEST_CASE("handlers of one strand never run at the same time") {
  net::thread_pool pool(3);
  net::io_context context;
  asio_pair ends = connected(context);
  const auto strand = net::make_strand(pool);
  std::atomic<int> running{0};
  std::atomic<bool> together{false};
  const auto alone = [&] {
    if (running.fetch_add(1) != 0) together = true;
    running.fetch_sub(1);
  };
  chain c(ends, strand, turns(5000));
  std::promise<void> ended;
  c.after_round = [&] {
    alone();
    net::post(strand, alone);
    if (c.ended()) ended.set_value();
  };
  net::post(strand, [&] { c.send(); });
  auto work = net::make_work_guard(context);
  std::thread reactor([&] { context.run(); });
  CHECK(ended.get_future().wait_for(patience) == std::future_status::ready);
  work.reset();
  pool.join();
  reactor.join();
  CHECK(!together);
}

// -- what a handler may do --

TEST_CASE("another thread may take the operation while the handler has not returned") {
  net::thread_pool pool(2);
  net::io_context context;
  asio_pair ends = connected(context);
  auto work = net::make_work_guard(context);
  std::thread reactor([&] { context.run(); });
  const free_thread_executor executor(pool);
  for (std::uint64_t n = turns(300); n > 0; --n) {
    std::promise<bool> done;
    ends.client.async_send(
        net::buffer("x"), net::bind_executor(executor, [&](net_error_code) {
          const auto received = std::make_shared<std::promise<bool>>();
          ends.server.async_recv(
              net::bind_executor(executor, [received](net_error_code e, message m) {
                m = message();  // the lease ends before another thread uses the channel
                received->set_value(!e);
              }));
          done.set_value(received->get_future().wait_for(patience) == std::future_status::ready);
        }));
    REQUIRE(done.get_future().get());
  }
  work.reset();
  reactor.join();
  pool.join();
}

TEST_CASE("a handler may poll its context until the operation has ended") {
  net::io_context context(1);  // with another hint Asio itself does not show what was deferred
  asio_pair ends = connected(context);
  bool received = false, seen = false;
  ends.client.async_send(net::buffer("x"), [&](net_error_code) {
    ends.server.async_recv([&](net_error_code e, const message&) { received = !e; });
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!received && std::chrono::steady_clock::now() < deadline) context.poll();
    seen = received;
  });
  context.restart();
  context.run_for(patience);
  CHECK(seen);
}

TEST_CASE("a handler may wait for what the handler before it has begun beside its own operation") {
  net::thread_pool pool(2);
  net::io_context context;
  asio_pair ends = connected(context);
  asio_pair others = connected(context);
  auto work = net::make_work_guard(context);
  std::thread reactor([&] { context.run(); });
  const auto executor = pool.get_executor();
  CHECK_FALSE(others.client.try_send(net::buffer("y")));
  std::promise<void> other;
  std::promise<bool> seen;
  ends.client.async_send(
      net::buffer("x"), net::bind_executor(executor, [&](net_error_code) {
        ends.server.async_recv(net::bind_executor(executor, [&](net_error_code, const message&) {
          seen.set_value(other.get_future().wait_for(patience) == std::future_status::ready);
        }));
        others.server.async_recv(net::bind_executor(
            executor, [&](net_error_code, const message&) { other.set_value(); }));
      }));
  CHECK(seen.get_future().get());
  work.reset();
  reactor.join();
  pool.join();
}

TEST_CASE("a handler that polls its context sees what other handlers begin meanwhile") {
  net::io_context context;
  asio_pair ends = connected(context);
  asio_pair others = connected(context);
  bool sent = false, seen = false;
  ends.client.async_send(net::buffer("x"), [&](net_error_code) {
    ends.server.async_recv([&](net_error_code, const message&) {
      net::post(context, [&] {
        others.client.async_send(net::buffer("y"), [&](net_error_code e) { sent = !e; });
      });
      const auto deadline = std::chrono::steady_clock::now() + patience;
      while (!sent && std::chrono::steady_clock::now() < deadline) context.poll();
      seen = sent;
    });
  });
  context.restart();
  context.run_for(patience);
  CHECK(seen);
}

TEST_CASE("an operation goes on when the handler that began it throws") {
  net::io_context context;
  asio_pair ends = connected(context);
  bool received = false;
  ends.client.async_send(net::buffer("x"), [&](net_error_code) {
    ends.server.async_recv([&](net_error_code e, const message&) { received = !e; });
    throw std::runtime_error("on purpose");
  });
  context.restart();
  CHECK_THROWS_AS(context.run(), std::runtime_error);
  CHECK(!received);
  context.run_for(patience);
  CHECK(received);
}

TEST_CASE("a handler may begin several operations, and may cancel them") {
  net::io_context context;
  asio_pair ends = connected(context);
  int sent = 0, received = 0, cancelled = 0;
  ends.client.async_send(net::buffer("x"), [&](net_error_code) {
    ends.client.async_send(net::buffer("y"), [&](net_error_code e) {
      cancelled += e == net::error::operation_aborted;
    });
    ends.server.async_send(net::buffer("z"), [&](net_error_code e) { sent += !e; });
    ends.server.async_recv([&](net_error_code e, const message&) { received += !e; });
    ends.client.async_recv(
        [&](net_error_code e, const message&) { cancelled += e == net::error::operation_aborted; });
    ends.client.cancel();
  });
  context.restart();
  context.run_for(patience);
  CHECK(sent == 1);
  CHECK(received == 1);
  CHECK(cancelled == 2);
}

TEST_CASE("a context that ends destroys the handler of an operation that was to follow") {
  const auto kept = std::make_shared<int>();
  {
    net::io_context context;
    asio_pair ends = connected(context);
    ends.client.async_send(net::buffer("x"), [&](net_error_code) {
      ends.server.async_recv([kept](net_error_code, const message&) {});
      throw std::runtime_error("on purpose");
    });
    context.restart();
    CHECK_THROWS_AS(context.run(), std::runtime_error);
    CHECK(kept.use_count() == 2);
  }
  CHECK(kept.use_count() == 1);
}

}  // TEST_SUITE("asio follow_up")
