// SPDX-License-Identifier: BSL-1.0

// What all reactors promise beside watches: sleeping, being slept on by a foreign loop, floods, and
// threads.

#include "support/patience.hpp"
#include "support/process.hpp"
#include "support/reactors.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

TEST_SUITE("reactor_wait") {

using namespace ringbell;
using namespace ringbell::test;

TEST_CASE_TEMPLATE("wait returns at its deadline, and not before", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  for (const auto time : {1ns, 1'000ns, 50'000ns, 999'999ns, 1'000'001ns, 3'500'000ns}) {
    const auto until = clock_type::now() + time;
    CHECK(r->wait(until) == 0);
    CHECK(clock_type::now() >= until);
  }
}

TEST_CASE_TEMPLATE("wait with a deadline in the past delivers what is there without sleeping", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  CHECK(r->wait(reactor::time_point::min()) == 0);
  CHECK(r->wait(reactor::time_point()) == 0);
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  CHECK(r->wait(reactor::time_point::min()) == 0);
  signal_bell(event);
  std::size_t events = r->wait(reactor::time_point::min());
  const auto deadline = clock_type::now() + patience;
  while (signals_take_a_moment && events == 0 && clock_type::now() < deadline)
    events = r->wait(reactor::time_point::min());
  CHECK(events == 1);
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("wait without a deadline sleeps until something happens", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  std::thread ringer([&] { signal_bell(event); });
  CHECK(r->wait(reactor::time_point::max()) == 1);
  CHECK(sink.count == 1);
  ringer.join();
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("a foreign loop that sleeps on the pollable handle misses no ring", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  rings all;
  recorder sink([&] { all.hear(); });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  const ringer other(event, all, 300);
  CHECK(poll_until(*r, [&] { return all.heard == 300; }));
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "the pollable handle is readable while something is to be delivered, and only then", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  r->arm(reactor::time_point::max());
  CHECK_FALSE(is_readable(r->pollable()));
  for (int i = 1; i <= 3; ++i) {
    signal_bell(event);
    CHECK(is_readable(r->pollable(), patience));
    CHECK(is_readable(r->pollable()));
    CHECK(r->poll() == 1);
    r->arm(reactor::time_point::max());
    CHECK_FALSE(is_readable(r->pollable()));
  }
  CHECK(sink.count == 3);
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "the pollable handle becomes readable at the armed time, not before, and not when that was taken back",
    B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  for (int i = 0; i < 3; ++i) {
    const auto due = clock_type::now() + 20ms;
    r->arm(due);
    CHECK(is_readable(r->pollable(), patience));
    CHECK(clock_type::now() >= due - early_timers);
    CHECK(r->poll() == 0);
    r->arm(reactor::time_point::max());
    r->poll();
    CHECK_FALSE(is_readable(r->pollable()));
  }
  r->arm(clock_type::now() + 20ms);
  r->arm(clock_type::now() + 24h);
  r->arm(reactor::time_point::max());
  r->poll();
  CHECK_FALSE(is_readable(r->pollable(), 40ms));
  r->arm(reactor::time_point::min());
  CHECK(is_readable(r->pollable(), patience));
}

TEST_CASE_TEMPLATE("watches that began before a foreign loop asked for the handle go on", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(), pending = make_event(true), ended = make_event();
  recorder edge, undelivered, gone;
  watch_key edge_key, undelivered_key, ended_key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, edge, edge_key));
  REQUIRE_FALSE(r->watch(ended.get(), event_read, watch_mode::edge, gone, ended_key));
  settle(*r);
  REQUIRE_FALSE(
      r->watch(pending.get(), event_read, watch_mode::edge, undelivered, undelivered_key));
  r->pollable();
  r->unwatch(ended_key);
  signal_bell(ended);
  CHECK(poll_until(*r, [&] { return undelivered.count > 0; }));
  for (int i = 1; i <= 3; ++i) {
    const int before = edge.count;
    signal_bell(event);
    CHECK(poll_until(*r, [&] { return edge.count > before; }));
  }
  CHECK(gone.count == 0);
  r->unwatch(edge_key);
  r->unwatch(undelivered_key);
}

TEST_CASE_TEMPLATE(
    "each of 3000 watches hears the last of a flood of rings, slept for and polled for", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  // More than the completion queue holds, with nobody taking anything out.
  const auto events = many_events(3000);
  std::vector<recorder> sinks(events.size());
  std::vector<watch_key> keys(events.size());
  for (std::size_t i = 0; i < events.size(); ++i)
    REQUIRE_FALSE(r->watch(events[i].get(), event_read, watch_mode::edge, sinks[i], keys[i]));
  settle(*r);
  for (int round = 1; round <= 4; ++round) {
    for (auto& sink : sinks) sink.count = 0;
    for (const auto& event : events) signal_bell(event), signal_bell(event);
    const auto all = [&] {
      return std::all_of(sinks.begin(), sinks.end(), [](const recorder& s) { return s.count > 0; });
    };
    CHECK((round < 3 ? wait_until(*r, all) : poll_until(*r, all)));
    settle(*r);
  }
  for (auto& key : keys) r->unwatch(key);
}

TEST_CASE_TEMPLATE("a watch survives 20,000 rings that nobody listened to", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::uint64_t heard = 0, rung = 0;
  recorder sink([&] { heard = rung; });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  settle(*r);
  for (int i = 0; i < 20'000; ++i) signal_bell(event), ++rung;
  CHECK(wait_until(*r, [&] { return heard == rung; }));
  settle(*r);
  signal_bell(event), ++rung;
  CHECK(wait_until(*r, [&] { return heard == rung; }));
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("a reactor leaves no handle behind", B, RINGBELL_REACTORS) {
  if (!B::make()) return;
  const auto use_one = [] {
    auto r = B::make();
    auto event = make_event(true), other = make_event();
    recorder sink;
    watch_key key, second, left;
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, second));
    REQUIRE_FALSE(r->watch(other.get(), event_read, watch_mode::edge, sink, left));
    r->arm(clock_type::now());
    CHECK(wait_until(*r, [&] { return sink.count > 0; }));
    r->unwatch(key);
    r->unwatch(second);
    r.reset();  // the third one is left to the destructor
  };
  for (int i = 0; i < 10; ++i) use_one();  // and the system's pools have what they keep
  const int before = open_descriptors();
  for (int i = 0; i < 50; ++i) use_one();
  CHECK(open_descriptors() <= before + handles_of_pools);
}

TEST_CASE_TEMPLATE(
    "a reactor may be made and given its first watches on one thread, and used on another", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(true), gone = make_event(true);
  recorder sink;
  watch_key key, gone_key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  REQUIRE_FALSE(r->watch(gone.get(), event_read, watch_mode::edge, sink, gone_key));
  r->unwatch(gone_key);
  bool heard = false;
  std::thread user([&] {
    heard = wait_until(*r, [&] { return sink.count == 1; });
    signal_bell(event);
    heard = heard && wait_until(*r, [&] { return sink.count == 2; });
    r->unwatch(key);
  });
  user.join();
  CHECK(heard);
}

TEST_CASE_TEMPLATE(
    "a timer that one thread has armed for a foreign loop fires after that thread's end", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  std::thread([&] {
    r->pollable();
    r->arm(clock_type::now() + 20ms);
  }).join();
  CHECK(is_readable(r->pollable(), patience));
}

}  // TEST_SUITE("reactor_wait")
