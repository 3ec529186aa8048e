// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/loop/loop.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/applies.hpp"
#include "support/poll.hpp"
#include "support/turns.hpp"
#include "support/variable.hpp"

TEST_SUITE("loop") {

using namespace ringbell;
using namespace std::chrono_literals;

namespace {

task<int> value(int v) { co_return v; }
task<void> sleep_once(std::chrono::nanoseconds d) { co_await sleep_for(d); }
task<void> yield_for_ever() {
  for (;;) co_await yield();
}
task<void> count_to(int n, int& count) {
  for (int i = 0; i < n; ++i) {
    co_await yield();
    ++count;
  }
}

/// Sets an environment variable for as long as it lives.
class with_variable {
public:
  with_variable(const char* name, const char* text) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = std::make_unique<std::string>(old);
    test::set_variable(name, text);
  }
  with_variable(const with_variable&) = delete;
  ~with_variable() {
    if (old_)
      test::set_variable(name_, old_->c_str());
    else
      test::unset_variable(name_);
  }

private:
  const char* name_;
  std::unique_ptr<std::string> old_;
};

bool readable_within(loop& lp, int milliseconds) {
  return test::readable_within(lp.native_handle(), std::chrono::milliseconds(milliseconds));
}

/// A foreign event loop of the simplest kind: calls run_ready() whenever the native handle is
/// readable, until `done`. False when nothing came for too long.
template <class F>
bool drive(loop& lp, F done) {
  lp.run_ready();
  while (!done()) {
    if (!readable_within(lp, 60'000)) return false;
    lp.run_ready();
  }
  return true;
}

}  // namespace

TEST_CASE("run gives the value of its task, and can be called again") {
  loop lp;
  CHECK(lp.run(value(1)) == 1);
  CHECK(lp.run(value(2)) == 2);
}

TEST_CASE("the loop says which back end it has, and why") {
  loop lp;
  const std::vector<std::string_view> known{"io_uring", "epoll", "kqueue", "iocp"};
  CHECK(std::find(known.begin(), known.end(), lp.backend_name()) != known.end());
  CHECK(lp.backend_reason().find(lp.backend_name()) != std::string_view::npos);
  MESSAGE(lp.backend_reason());
}

TEST_CASE("RINGBELL_LOOP picks the back end" * test::needs_linux_loops) {
  const with_variable v("RINGBELL_LOOP", "epoll");
  CHECK(loop().backend_name() == "epoll");
}

TEST_CASE("an option picks the back end whatever RINGBELL_LOOP says" * test::needs_linux_loops) {
  const with_variable v("RINGBELL_LOOP", "io_uring");
  loop_options options;
  options.backend = loop_backend::epoll;
  CHECK(loop(options).backend_name() == "epoll");
}

TEST_CASE(
    "a value of RINGBELL_LOOP or RINGBELL_SPIN that nobody knows is an error that names the known ones" *
    test::needs_linux_loops) {
  {
    const with_variable v("RINGBELL_LOOP", "select");
    try {
      loop lp;
      CHECK(false);
    } catch (const std::system_error& e) {
      CHECK(e.code() == std::errc::invalid_argument);
      CHECK(std::string(e.what()).find("expected io_uring") != std::string::npos);
    }
  }
  const with_variable v("RINGBELL_SPIN", "sometimes");
  CHECK_THROWS_AS(loop(), std::system_error);
}

TEST_CASE("RINGBELL_SPIN picks the policy") {
  const with_variable v("RINGBELL_SPIN", "none");
  CHECK(loop().spinning() == spin_policy::none);
}

TEST_CASE("run_until_idle returns when all spawned tasks and posted functions are done") {
  loop lp;
  int count = 0;
  lp.run_until_idle();
  for (int i = 0; i < 10; ++i) lp.spawn(count_to(10, count));
  lp.post([&] {
    ++count;
    lp.post([&] { ++count; });
  });
  lp.spawn(sleep_once(1ms));
  lp.run_until_idle();
  CHECK(count == 102);
}

TEST_CASE("spawned tasks go on in the next run") {
  loop lp;
  int count = 0;
  lp.spawn(count_to(1000, count));
  lp.run(value(1));
  CHECK(count < 1000);
  lp.run_until_idle();
  CHECK(count == 1000);
}

TEST_CASE("stop ends a run, and only one") {
  loop lp;
  lp.post([&] { lp.stop(); });
  lp.run();
  CHECK(lp.run(value(1)) == 1);
}

TEST_CASE("a stop that comes before the run ends that run") {
  loop lp;
  lp.stop();
  lp.run();
  lp.stop();
  CHECK_THROWS_AS(lp.run(sleep_once(1h)), std::system_error);
}

namespace {
task<> stay_awake() {
  for (;;) co_await yield();
}
}  // namespace

TEST_CASE("a thread may own the loop that another one stops, or posts to, and destroy it at once") {
  std::uint64_t ended = 0;
  for (std::uint64_t i = 0; i < test::turns(300); ++i) {
    std::atomic<loop*> made{nullptr};
    std::thread owner([&made, i] {
      loop lp;
      if (i % 3 == 0) lp.spawn(stay_awake());  // it sees the stop before it is rung
      made.store(&lp, std::memory_order_release);
      lp.run();
    });
    loop* lp = nullptr;
    while (!(lp = made.load(std::memory_order_acquire))) std::this_thread::yield();
    if (i % 2 == 0)
      lp->stop();
    else
      lp->post([lp] { lp->stop(); });
    owner.join();
    ++ended;
  }
  CHECK(ended == test::turns(300));
}

TEST_CASE("another thread stops a sleeping loop") {
  for (int i = 0; i < 50; ++i) {
    loop lp;
    std::thread other([&] { lp.stop(); });
    lp.run();
    other.join();
  }
}

TEST_CASE("a loop is made on one thread and run on another") {
  loop lp;
  int count = 0;
  lp.spawn(count_to(10, count));
  lp.post([&] { ++count; });
  std::thread other([&] {
    CHECK(loop::current() == nullptr);
    lp.post([&] { CHECK(loop::current() == &lp); });
    lp.spawn(sleep_once(1ms));
    lp.run_until_idle();
  });
  other.join();
  CHECK(count == 11);
}

TEST_CASE("a loop does not run within itself, but another one may") {
  loop lp;
  bool refused = false;
  int inner = 0;
  lp.post([&] {
    try {
      lp.run();
    } catch (const std::system_error& e) {
      refused = e.code() == errc::busy;
    }
    inner = loop().run(value(3));
    CHECK(loop::current() == &lp);
  });
  lp.run_until_idle();
  CHECK(refused);
  CHECK(inner == 3);
}

TEST_CASE("a flood of ready coroutines does not keep a timer from expiring") {
  loop lp;
  scope flood{lp};
  for (int i = 0; i < 1000; ++i) flood.spawn(yield_for_ever());
  lp.run(sleep_once(5ms));
  CHECK(flood.size() == 1000);
}

TEST_CASE("a flood of ready coroutines does not keep posted functions from running") {
  loop lp;
  scope flood{lp};
  for (int i = 0; i < 1000; ++i) flood.spawn(yield_for_ever());
  std::thread other([&] { lp.post([&] { lp.stop(); }); });
  lp.run();
  other.join();
}

TEST_CASE(
    "an exception of a posted function leaves run, and the functions behind it run in the next") {
  loop lp;
  int count = 0;
  lp.post([] { throw std::runtime_error("posted"); });
  lp.post([&] { ++count; });
  int counted = 0;
  lp.spawn(count_to(3, counted));
  CHECK_THROWS_WITH_AS(lp.run_until_idle(), "posted", std::runtime_error);
  lp.run_until_idle();
  CHECK(count == 1);
  CHECK(counted == 3);
}

TEST_CASE(
    "functions posted but not run are destroyed with the loop, also those that post others in their destructors") {
  struct chain {
    chain(loop& l, int n, int& c) : lp(l), left(n), count(c) {}
    ~chain() {
      ++count;
      if (left > 0) lp.post([next = std::make_shared<chain>(lp, left - 1, count)] {});
    }
    loop& lp;
    int left;
    int& count;
  };
  int count = 0;
  {
    loop lp;
    lp.post([c = std::make_shared<chain>(lp, 5, count)] {});
  }
  CHECK(count == 6);
}

TEST_CASE(
    "of a hundred thousand functions posted by four threads to a loop that sleeps and wakes, none is lost or out of order") {
  constexpr int threads = 4, each = 25000;
  loop lp;
  int received = 0;
  bool in_order = true;
  std::vector<int> last(threads, -1);
  std::vector<std::thread> posters;
  for (int t = 0; t < threads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        lp.post([&, t, i] {
          int& previous = last[static_cast<std::size_t>(t)];
          in_order &= i == previous + 1;
          previous = i;
          if (++received == threads * each) lp.stop();
        });
        if (i % 16 == 0) std::this_thread::yield();
      }
    });
  }
  lp.run();
  for (std::thread& p : posters) p.join();
  CHECK(received == threads * each);
  CHECK(in_order);
  MESSAGE("the loop slept " << lp.statistics().sleeps << " times");
}

TEST_CASE("one function at a time, each posted to a loop that is about to sleep, is never missed") {
  constexpr int rounds = 20000;
  loop lp;
  std::atomic<int> reached{0};
  std::thread other([&] {
    for (int i = 1; i <= rounds; ++i) {
      lp.post([&, i] { reached.store(i, std::memory_order_release); });
      while (reached.load(std::memory_order_acquire) != i) std::this_thread::yield();
    }
    lp.stop();
  });
  lp.run();
  other.join();
  CHECK(reached == rounds);
}

TEST_CASE("a foreign loop drives timers") {
  loop lp;
  int count = 0;
  const auto ticking = [](int& n) -> task<void> {
    for (int i = 0; i < 5; ++i) {
      co_await sleep_for(1ms);
      ++n;
    }
  };
  lp.spawn(ticking(count));
  CHECK(drive(lp, [&] { return count == 5; }));
}

TEST_CASE("a foreign loop is woken by posts from other threads") {
  constexpr int rounds = 2000;
  loop lp;
  std::atomic<int> reached{0};
  std::thread other([&] {
    for (int i = 1; i <= rounds; ++i) {
      lp.post([&, i] { reached.store(i, std::memory_order_release); });
      while (reached.load(std::memory_order_acquire) != i) std::this_thread::yield();
    }
  });
  const bool all = drive(lp, [&] { return reached == rounds; });
  CHECK(all);
  if (!all) std::_Exit(1);  // the other thread would wait for ever
  other.join();
}

TEST_CASE("the foreign loop hears of what its own callbacks start") {
  loop lp;
  lp.run_ready();
  int count = 0;
  for (int i = 0; i < 5; ++i)
    if (readable_within(lp, 0)) lp.run_ready();
  CHECK_FALSE(readable_within(lp, 0));
  lp.spawn(count_to(1, count));
  CHECK(readable_within(lp, 60'000));
  CHECK(drive(lp, [&] { return count == 1; }));

  inplace_stop_source stop;
  std::error_code error;
  const auto sleeper = [](std::error_code& e) -> task<void> {
    try {
      co_await sleep_for(1h);
    } catch (const std::system_error& cancelled) {
      e = cancelled.code();
    }
  };
  scope s{lp, stop.get_token()};
  s.spawn(sleeper(error));
  lp.run_ready();
  lp.run_ready();
  stop.request_stop();
  CHECK(drive(lp, [&] { return s.size() == 0; }));
  CHECK(error == errc::cancelled);
}

TEST_CASE(
    "drive asks to be called again after it ran something, and arms the handle when it did not") {
  loop lp;
  while (lp.drive()) {}
  CHECK_FALSE(readable_within(lp, 0));
  int count = 0;
  lp.spawn(count_to(1, count));
  CHECK(readable_within(lp, 60'000));
  CHECK(lp.drive());
  CHECK(count == 1);
  // What the foreign loop starts now needs no handle: it calls again anyway.
  lp.spawn(count_to(1, count));
  CHECK(lp.drive());
  CHECK(count == 2);
  while (lp.drive()) {}
  CHECK_FALSE(readable_within(lp, 0));
  lp.post([&] { ++count; });
  CHECK(readable_within(lp, 60'000));
  CHECK(lp.drive());
  CHECK(count == 3);
}

TEST_CASE("drive keeps a timer, and returns though there is always work") {
  loop lp;
  bool slept = false;
  lp.spawn([](bool& ended) -> task<void> {
    co_await sleep_for(1ms);
    ended = true;
  }(slept));
  while (!slept)
    if (!lp.drive()) REQUIRE(readable_within(lp, 60'000));
  lp.spawn(yield_for_ever());
  for (int i = 0; i < 10; ++i) CHECK(lp.drive());
}

TEST_CASE(
    "run_ready returns to the foreign loop though there is always work, and the handle says so") {
  loop lp;
  lp.spawn(yield_for_ever());
  for (int i = 0; i < 10; ++i) {
    CHECK(lp.run_ready());
    CHECK(readable_within(lp, 60'000));
  }
}

TEST_CASE("after an exception of a posted function the handle is readable for the rest") {
  loop lp;
  int count = 0;
  lp.run_ready();
  lp.post([] { throw std::runtime_error("posted"); });
  lp.post([&] { ++count; });
  CHECK_THROWS_AS(drive(lp, [&] { return count == 1; }), std::runtime_error);
  CHECK(drive(lp, [&] { return count == 1; }));
}

TEST_CASE("a driven loop can be run again as its own") {
  loop lp;
  lp.run_ready();
  CHECK(lp.run(value(4)) == 4);
  lp.run(sleep_once(1ms));
  lp.run_ready();
  CHECK(lp.run(value(5)) == 5);
}

namespace {

task<void> yield_until(const bool& over) {
  while (!over) co_await yield();
}

// How many turns a timer that is due at once is late, at the most of so many.
task<void> count_turns(loop& lp, int timers, std::uint64_t& most, bool& over) {
  for (int i = 0; i < timers; ++i) {
    const std::uint64_t before = lp.statistics().turns;
    co_await sleep_for(std::chrono::nanoseconds(1));
    most = std::max(most, lp.statistics().turns - before);
  }
  over = true;
}

}  // namespace

TEST_CASE("a timer waits for one turn only where a turn runs many coroutines") {
  loop lp;
  bool over = false;
  std::uint64_t most = 0;
  for (int i = 0; i < 1000; ++i) lp.spawn(yield_until(over));
  lp.spawn(count_turns(lp, 50, most, over));
  lp.run_until_idle();
  CHECK(most <= 2);
}

}  // TEST_SUITE("loop")
