// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/detail/timer_heap.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

TEST_SUITE("timer_heap") {

using ringbell::detail::timer;
using ringbell::detail::timer_heap;

namespace {

timer::time_point at(int n) { return timer::time_point(std::chrono::milliseconds(n)); }

struct recorder : timer {
  recorder(std::vector<int>& to, int n) : timer(&called), calls(to), name(n) {}
  static void called(timer& t) noexcept {
    auto& self = static_cast<recorder&>(t);
    self.calls.push_back(self.name);
  }
  std::vector<int>& calls;
  int name;
};

}  // namespace

TEST_CASE("an empty heap has nothing due, ever") {
  timer_heap heap;
  CHECK(heap.empty());
  CHECK(heap.next() == timer::time_point::max());
  CHECK(heap.expire(timer::time_point::max()) == 0);
}

TEST_CASE("timers expire in the order of their times, whatever the order of adding") {
  std::vector<int> calls;
  recorder a(calls, 1), b(calls, 2), c(calls, 3);
  timer_heap heap;
  heap.add(c, at(30));
  heap.add(a, at(10));
  heap.add(b, at(20));
  CHECK(heap.next() == at(10));
  CHECK(heap.expire(at(100)) == 3);
  CHECK(calls == std::vector<int>{1, 2, 3});
  CHECK(heap.empty());
}

TEST_CASE("a timer expires at its time, not before") {
  std::vector<int> calls;
  recorder a(calls, 1);
  timer_heap heap;
  heap.add(a, at(10));
  CHECK(heap.expire(at(10) - timer::time_point::duration(1)) == 0);
  CHECK(a.pending());
  CHECK(heap.expire(at(10)) == 1);
  CHECK_FALSE(a.pending());
}

TEST_CASE("adding a pending timer moves it") {
  std::vector<int> calls;
  recorder a(calls, 1), b(calls, 2);
  timer_heap heap;
  heap.add(a, at(10));
  heap.add(b, at(20));
  heap.add(a, at(30));
  CHECK(heap.size() == 2);
  CHECK(a.due() == at(30));
  heap.expire(at(40));
  CHECK(calls == std::vector<int>{2, 1});
}

TEST_CASE("a removed or destroyed timer is not called") {
  std::vector<int> calls;
  timer_heap heap;
  recorder a(calls, 1);
  heap.add(a, at(1));
  {
    recorder b(calls, 2);
    heap.add(b, at(2));
  }
  heap.remove(a);
  heap.remove(a);
  CHECK(heap.empty());
  CHECK(heap.expire(at(10)) == 0);
}

TEST_CASE("timers outlive their heap") {
  std::vector<int> calls;
  recorder a(calls, 1);
  {
    timer_heap heap;
    heap.add(a, at(1));
  }
  CHECK_FALSE(a.pending());
}

TEST_CASE("a timer that adds itself when it is called waits for the next time") {
  struct again : timer {
    explicit again(timer_heap& h) : timer(&called), heap(h) {}
    static void called(timer& t) noexcept {
      auto& self = static_cast<again&>(t);
      ++self.calls;
      self.heap.add(self, at(0));
    }
    timer_heap& heap;
    int calls = 0;
  };
  timer_heap heap;
  again a(heap);
  heap.add(a, at(1));
  CHECK(heap.expire(at(10)) == 1);
  CHECK(heap.expire(at(11)) == 1);
  CHECK(a.calls == 2);
}

TEST_CASE("a timer may destroy another that is due at the same moment") {
  struct killer : timer {
    killer() : timer(&called) {}
    static void called(timer& t) noexcept { static_cast<killer&>(t).victim.reset(); }
    std::unique_ptr<recorder> victim;
  };
  std::vector<int> calls;
  timer_heap heap;
  killer k;
  k.victim = std::make_unique<recorder>(calls, 1);
  heap.add(k, at(1));
  heap.add(*k.victim, at(2));
  CHECK(heap.expire(at(5)) == 1);
  CHECK(calls.empty());
}

TEST_CASE("ten thousand random additions, moves and removals expire as a sorted list would") {
  std::mt19937 random(42);
  std::vector<int> calls;
  timer_heap heap;
  std::vector<std::unique_ptr<recorder>> timers;
  std::vector<int> due(500, -1);
  for (int i = 0; i < 500; ++i) timers.push_back(std::make_unique<recorder>(calls, i));
  int now = 0;
  for (int step = 0; step < 10000; ++step) {
    const std::size_t i = random() % timers.size();
    switch (random() % 4) {
      case 0:
      case 1:
        due[i] = now + 1 + static_cast<int>(random() % 100);
        heap.add(*timers[i], at(due[i]));
        break;
      case 2:
        due[i] = -1;
        heap.remove(*timers[i]);
        break;
      default:
        now += static_cast<int>(random() % 3);
        calls.clear();
        heap.expire(at(now));
        std::vector<int> expected;
        for (int n = 0; n < 500; ++n)
          if (const int d = due[static_cast<std::size_t>(n)]; d >= 0 && d <= now)
            expected.push_back(n);
        REQUIRE(calls.size() == expected.size());
        const auto due_of = [&](int n) { return due[static_cast<std::size_t>(n)]; };
        REQUIRE(std::is_sorted(calls.begin(), calls.end(),
                               [&](int a, int b) { return due_of(a) < due_of(b); }));
        for (int n : expected) due[static_cast<std::size_t>(n)] = -1;
        std::sort(calls.begin(), calls.end());
        REQUIRE(calls == expected);
    }
  }
}

}  // TEST_SUITE("timer_heap")
