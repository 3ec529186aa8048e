// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/detail/spin_history.hpp>

#include <doctest/doctest.h>

TEST_SUITE("spin_history") {

using ringbell::detail::spin_history;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::nanoseconds limit = 50us;

// One wait after another for a message that comes after `gap`, as a loop would have it: returns how
// many of them were polled for. A wait that sleeps is longer by the wake-up.
int polled(spin_history& history, int waits, std::chrono::nanoseconds gap) {
  int count = 0;
  for (int i = 0; i < waits; ++i) {
    if (!history.worth_it()) {
      history.slept(gap + limit, limit);
      continue;
    }
    ++count;
    if (gap <= limit)
      history.paid();
    else
      history.wasted();
  }
  return count;
}

}  // namespace

TEST_CASE("a fresh channel is polled for") {
  spin_history history;
  CHECK(history.worth_it());
}

TEST_CASE("messages that come within 10 us are always polled for") {
  spin_history history;
  CHECK(polled(history, 1000, 10us) == 1000);
}

TEST_CASE(
    "messages that come every millisecond are soon polled for in less than one wait of a hundred") {
  spin_history history;
  CHECK(polled(history, 100, 1ms) < 10);
  polled(history, 1000, 1ms);
  CHECK(polled(history, 10000, 1ms) < 20);
}

TEST_CASE("traffic that becomes fast again is polled for after some thirty waits") {
  spin_history history;
  polled(history, 10000, 1ms);
  polled(history, 40, 10us);
  CHECK(polled(history, 1000, 10us) == 1000);
}

TEST_CASE("when sleeping hides how fast the peer is, a try finds out") {
  spin_history history;
  polled(history, 10000, 1ms);
  // Fast, but each wait that sleeps takes as long as if it were slow: only polling can tell.
  int waits = 0;
  while (!history.worth_it()) {
    history.slept(1ms, limit);
    REQUIRE(++waits <= 1024);
  }
  history.paid();
  CHECK(polled(history, 100, 10us) == 100);
}

TEST_CASE("now and then a late message does not end the polling for a fast channel") {
  spin_history history;
  for (int i = 0; i < 100; ++i) {
    CHECK(polled(history, 9, 10us) == 9);
    polled(history, 1, 5ms);
  }
}

TEST_CASE(
    "where polling never pays though the waits that sleep are short, it is soon done for less than one wait of twenty") {
  spin_history history;
  int polls = 0;
  for (int i = 0; i < 2000; ++i) {
    if (i == 200) polls = 0;
    if (history.worth_it()) {
      ++polls;
      history.wasted();
    } else {
      history.slept(5us, limit);
    }
  }
  CHECK(polls < 90);
}

}  // TEST_SUITE("spin_history")
