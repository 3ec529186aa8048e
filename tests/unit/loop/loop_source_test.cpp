// SPDX-License-Identifier: BSL-1.0
// How a loop polls and parks those who wait on a ring; here on a word that another thread writes.
#include <ringbell/coro/sleep.hpp>
#include <ringbell/loop/detail/loop_access.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/sys/cpu.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "support/patience.hpp"

TEST_SUITE("loop_source") {

using namespace ringbell;
using namespace std::chrono_literals;

namespace {

task<void> sleep_once(std::chrono::nanoseconds d) { co_await sleep_for(d); }

/// A word that another thread writes, waited for as a channel waits for its ring.
class flag_source final : public detail::polled_source {
public:
  explicit flag_source(loop& lp) noexcept : loop_(lp) {}

  void wait(std::coroutine_handle<> h) noexcept {
    node_.waiting = h;
    waiting_ = true;
    detail::loop_access::keep_awake(loop_, *this);
  }
  /// On the other thread: F2 of the park protocol.
  void publish(std::uint32_t value) {
    word_.store(value, std::memory_order_release);
    detail::park_fence();
    if (parked_.load(std::memory_order_relaxed) &&
        parked_.exchange(false, std::memory_order_relaxed))
      loop_.post([this] { rung(); });
  }
  std::uint32_t seen() const noexcept { return seen_; }
  int parks = 0;

  bool poll() noexcept override {
    const std::uint32_t now = word_.load(std::memory_order_acquire);
    if (!waiting_ || now == seen_) return false;
    seen_ = now;
    waiting_ = false;
    parked_.store(false, std::memory_order_relaxed);
    unlink();
    detail::loop_access::woken(loop_, *this);
    detail::loop_access::schedule(loop_, node_);
    return true;
  }
  void announce() noexcept override {
    ++parks;
    parked_.store(true, std::memory_order_relaxed);
  }
  bool recheck() noexcept override { return poll(); }

private:
  // A ring may be late, for a value that was seen before the present wait parked; it has taken
  // `parked_`, so the source must park anew.
  void rung() noexcept {
    if (waiting_ && !poll()) detail::loop_access::keep_awake(loop_, *this);
  }

  loop& loop_;
  detail::ready_node node_;
  bool waiting_ = false;
  std::atomic<std::uint32_t> word_{0};
  std::atomic<bool> parked_{false};
  std::uint32_t seen_ = 0;
};

class next_value {
public:
  explicit next_value(flag_source& s) noexcept : source_(s) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) noexcept { source_.wait(h); }
  std::uint32_t await_resume() const noexcept { return source_.seen(); }

private:
  flag_source& source_;
};

task<void> follow(flag_source& source, std::uint32_t until, std::atomic<std::uint32_t>& reached) {
  while (reached < until) reached = co_await next_value(source);
}

/// Waits for values that are there already: nothing depends on when another thread runs.
task<void> feed_itself(flag_source& source, std::uint32_t values) {
  for (std::uint32_t i = 1; i <= values; ++i) {
    source.publish(i);
    co_await next_value(source);
  }
}

void exchange(loop& lp, flag_source& source, std::uint32_t rounds) {
  std::atomic<std::uint32_t> reached{0};
  std::thread other([&] {
    for (std::uint32_t i = 1; i <= rounds; ++i) {
      source.publish(i);
      while (reached != i) std::this_thread::yield();
    }
  });
  lp.run(follow(source, rounds, reached));
  other.join();
  CHECK(reached == rounds);
}

}  // namespace

TEST_CASE("a source that never spins is parked before the loop sleeps, and no value is missed") {
  loop_options options;
  options.spin = spin_policy::none;
  loop lp(options);
  flag_source source(lp);
  exchange(lp, source, 1000);
  CHECK(source.parks > 0);
  CHECK(lp.statistics().spins == 0);
}

TEST_CASE("a loop that learns misses no value either") {
  loop lp;
  flag_source source(lp);
  exchange(lp, source, 1000);
  if (sys::usable_cpus() > 1) CHECK(lp.statistics().spins + lp.statistics().sleeps > 0);
}

TEST_CASE("a loop that always spins never parks a source, and still sees timers and posts") {
  if (sys::usable_cpus() < 2) {
    MESSAGE("skipped: needs two usable processors");
    return;
  }
  loop_options options;
  options.spin = spin_policy::always;
  loop lp(options);
  flag_source source(lp);
  exchange(lp, source, 100);  // few: sharing a processor with it, each round takes a time slice
  std::atomic<std::uint32_t> reached{100};
  lp.spawn(follow(source, 101, reached));
  lp.run(sleep_once(2ms));
  std::thread other([&] { lp.post([&] { lp.stop(); }); });
  lp.run();
  other.join();
  CHECK(source.parks == 0);
  CHECK(lp.statistics().spins_paid > 0);
}

TEST_CASE("a busy loop polls a few waits itself, but parks a silent crowd, and hears of each") {
  struct {
    std::size_t count, turns;
  } const crowds[] = {{4, 20'000}, {500, 20'000}, {3000, 100}};
  for (const auto& [count, turns_before] : crowds) {
    CAPTURE(count);
    loop lp;
    std::vector<std::unique_ptr<flag_source>> sources;
    for (std::size_t i = 0; i < count; ++i) sources.push_back(std::make_unique<flag_source>(lp));
    std::vector<std::atomic<std::uint32_t>> reached(count);
    for (std::size_t i = 0; i < count; ++i) lp.spawn(follow(*sources[i], 1, reached[i]));
    // Posts itself again on every turn: so the loop never sleeps, until all have been heard of.
    std::size_t turns = 0;
    const auto deadline = loop::clock::now() + test::patience;
    const auto all_reached = [&] {
      return std::all_of(reached.begin(), reached.end(), [](const auto& r) { return r == 1; });
    };
    std::thread other;
    std::function<void()> keep_busy = [&] {
      if (++turns == turns_before)
        other = std::thread([&] {
          for (auto& source : sources) source->publish(1);
        });
      all_reached() || loop::clock::now() > deadline ? lp.stop() : lp.post(keep_busy);
    };
    lp.post(keep_busy);
    lp.run();
    other.join();
    CHECK(all_reached());
    CHECK(lp.statistics().sleeps == 0);
    const auto parked = std::count_if(sources.begin(), sources.end(),
                                      [](const auto& source) { return source->parks != 0; });
    // Of a few none; of many all that were silent for long; of very many first those that were
    // silent for longest.
    if (count == 4) CHECK(parked == 0);
    if (count == 500) CHECK(parked == 500);
    if (count == 3000) CHECK(parked >= 1900);
  }
}

TEST_CASE("in a silent crowd the one that has something goes on being polled") {
  if (sys::usable_cpus() < 2) {
    MESSAGE("skipped: needs two usable processors");
    return;
  }
  constexpr std::uint32_t values = 50'000;
  loop_options options;
  options.spin = spin_policy::always;
  loop lp(options);
  std::vector<std::unique_ptr<flag_source>> crowd;
  std::vector<std::atomic<std::uint32_t>> reached(200);
  for (auto& r : reached) {
    crowd.push_back(std::make_unique<flag_source>(lp));
    lp.spawn(follow(*crowd.back(), 1, r));
  }
  flag_source active(lp);
  lp.run(feed_itself(active, values));
  CHECK(active.seen() == values);
  CHECK(active.parks == 0);
  CHECK(std::all_of(crowd.begin(), crowd.end(),
                    [](const auto& source) { return source->parks == 1; }));
}

TEST_CASE(
    "new sources share what is known of those before them, so many that are short-lived and silent are not each polled for") {
  loop lp;
  for (int i = 0; i < 200; ++i) {
    flag_source source(lp);
    source.wait(std::noop_coroutine());
    lp.run(sleep_once(300us));
    source.unlink();
  }
  CHECK(lp.statistics().spins < 100);
}

TEST_CASE("for a source that stays silent the loop soon stops spinning") {
  loop lp;
  flag_source source(lp);
  std::atomic<std::uint32_t> reached{0};
  lp.spawn(follow(source, 1, reached));
  for (int i = 0; i < 200; ++i) {
    source.wait(std::noop_coroutine());
    lp.run(sleep_once(300us));
  }
  CHECK(lp.statistics().spins < 100);
  source.unlink();
}

}  // TEST_SUITE("loop_source")
