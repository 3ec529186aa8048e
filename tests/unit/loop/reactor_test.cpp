// SPDX-License-Identifier: BSL-1.0

// What all reactors promise of watches: how they begin, report and end. reactor_wait_test.cpp has
// what they promise of sleeping; reactor_socket_test.cpp, reactor_process_test.cpp and a file for
// each reactor have what one system only has.

#include "support/patience.hpp"
#include "support/reactors.hpp"

#include <ringbell/errors.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

TEST_SUITE("reactor") {

using namespace ringbell;
using namespace ringbell::test;

TEST_CASE_TEMPLATE("an edge watch reports what was there when it began", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(true);
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  CHECK(sink.count == 0);
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  CHECK(sink.seen == event_read);
  settle(*r);
  CHECK(sink.count == 1);
  r->unwatch(key);
  CHECK_FALSE(key);
}

TEST_CASE_TEMPLATE("a bell that nobody drains reports each of 1000 rings that wait for each other",
                   B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  rings all;
  recorder sink([&] { all.hear(); });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  const ringer other(event, all, 1000);
  CHECK(wait_until(*r, [&] { return all.heard == 1000; }));
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("rings in a burst may merge, but an event comes after the last", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::atomic<int> rung{0};
  int heard = 0;
  recorder sink([&] { heard = rung; });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  std::thread ringer([&] {
    for (int i = 1; i <= 1000; ++i) {
      rung = i;
      signal_bell(event);
    }
  });
  CHECK(wait_until(*r, [&] { return heard == 1000; }));
  ringer.join();
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("poll alone delivers every event that wait would", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  rings all;
  recorder sink([&] { all.hear(); });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  const ringer other(event, all, 100);
  const auto deadline = clock_type::now() + patience;
  while (all.heard != 100 && clock_type::now() < deadline)
    if (r->poll() == 0) std::this_thread::yield();  // the ringer may have no other core
  CHECK(all.heard == 100);
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("a once watch fires once and frees its slot before the sink is called", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(true);
  watch_key key, inner_key;
  recorder inner;
  recorder sink(
      [&] { CHECK_FALSE(r->watch(event.get(), event_read, watch_mode::once, inner, inner_key)); });
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, sink, key));
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  keep_ready(event);
  CHECK(wait_until(*r, [&] { return inner.count > 0; }));
  signal_bell(event);
  settle(*r);
  CHECK(sink.count == 1);
  CHECK(inner.count == 1);
  CHECK(static_cast<std::uint32_t>(key.value) == static_cast<std::uint32_t>(inner_key.value));
  CHECK(key.value != inner_key.value);
  CHECK(is_readable(event.get()));  // nobody took the last signal
}

TEST_CASE_TEMPLATE("a sink may end the watch of another event of the same batch, and its own", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto one = make_event(true), two = make_event(true);
  watch_key key_one, key_two;
  recorder sink_one([&] { r->unwatch(key_one), r->unwatch(key_two); });
  recorder sink_two([&] { r->unwatch(key_one), r->unwatch(key_two); });
  REQUIRE_FALSE(r->watch(one.get(), event_read, watch_mode::edge, sink_one, key_one));
  REQUIRE_FALSE(r->watch(two.get(), event_read, watch_mode::edge, sink_two, key_two));
  CHECK(wait_until(*r, [&] { return sink_one.count + sink_two.count > 0; }));
  signal_bell(one);
  signal_bell(two);
  settle(*r);
  CHECK(sink_one.count + sink_two.count == 1);
}

TEST_CASE_TEMPLATE("a sink may begin so many watches that the table moves", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto one = make_event(true), two = make_event(true);
  recorder added;
  std::vector<watch_key> keys(1000);
  const auto add = [&] {
    if (keys[0]) return;
    for (auto& key : keys) CHECK_FALSE(r->watch(two.get(), 0, watch_mode::edge, added, key));
  };
  recorder sink_one(add), sink_two(add);
  watch_key key_one, key_two;
  REQUIRE_FALSE(r->watch(one.get(), event_read, watch_mode::edge, sink_one, key_one));
  REQUIRE_FALSE(r->watch(two.get(), event_read, watch_mode::edge, sink_two, key_two));
  CHECK(wait_until(*r, [&] { return sink_one.count > 0 && sink_two.count > 0; }));
  drain(*r);
  for (auto& key : keys) r->unwatch(key);
  r->unwatch(key_one);
  r->unwatch(key_two);
}

TEST_CASE_TEMPLATE(
    "of three watches on one handle each hears every ring, and goes on when the others end", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::vector<recorder> sinks(3);
  std::vector<watch_key> keys(3);
  for (std::size_t i = 0; i < 3; ++i)
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sinks[i], keys[i]));
  settle(*r);
  for (const std::size_t end : {0u, 2u, 1u}) {
    for (auto& sink : sinks) sink.count = 0;
    signal_bell(event);
    CHECK(wait_until(*r, [&] {
      for (std::size_t i = 0; i < 3; ++i)
        if (keys[i] && sinks[i].count == 0) return false;
      return true;
    }));
    settle(*r);
    for (std::size_t i = 0; i < 3; ++i) CHECK(sinks[i].count == (keys[i] ? 1 : 0));
    r->unwatch(keys[end]);
  }
  signal_bell(event);
  settle(*r);
  CHECK(is_readable(event.get()));  // nobody takes a signal any more
}

TEST_CASE_TEMPLATE("keys of ended watches are harmless", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(true);
  recorder gone, stays;
  watch_key old, live;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, gone, old));
  CHECK(wait_until(*r, [&] { return gone.count == 1; }));
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, stays, live));
  r->unwatch(old);
  watch_key none;
  r->unwatch(none);
  keep_ready(event);
  CHECK(wait_until(*r, [&] { return stays.count == 1; }));
  r->unwatch(live);
}

TEST_CASE_TEMPLATE("a watch that ends before the kernel has heard of it reports nothing", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  recorder gone, stays;
  watch_key key, live;
  auto event = make_event(true), other = make_event(true);
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, gone, key));
  REQUIRE_FALSE(r->watch(other.get(), event_read, watch_mode::edge, stays, live));
  r->unwatch(key);
  event.reset();
  CHECK(wait_until(*r, [&] { return stays.count == 1; }));
  CHECK(gone.count == 0);
  r->unwatch(live);
}

TEST_CASE_TEMPLATE("a handle that came back as another object is not told of the first one", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  for (int i = 0; i < 20; ++i) {
    auto event = make_event();
    const auto number = event.get();
    recorder gone, stays;
    watch_key key, next;
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, gone, key));
    signal_bell(event);
    r->unwatch(key);
    event.reset();
    auto other = make_event();
    REQUIRE_FALSE(r->watch(other.get(), event_read, watch_mode::edge, stays, next));
    if (other.get() != number) MESSAGE("the system chose another number");
    settle(*r);
    CHECK(gone.count == 0);
    CHECK(stays.count == 0);
    r->unwatch(next);
  }
}

TEST_CASE_TEMPLATE("what stays signalled is reported once to each watch", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_lasting_event();
  recorder edge, once, later;
  watch_key edge_key, once_key, later_key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, edge, edge_key));
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, once, once_key));
  CHECK(wait_until(*r, [&] { return edge.count > 0 && once.count > 0; }));
  settle(*r);
  CHECK(edge.count == 1);
  CHECK(once.count == 1);
  r->unwatch(edge_key);
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, later, later_key));
  CHECK(wait_until(*r, [&] { return later.count == 1; }));
}

TEST_CASE_TEMPLATE("a handle that is not open is an error, at once or by event", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  recorder sink;
  watch_key key;
  const std::error_code error = r->watch(no_handle, event_read, watch_mode::edge, sink, key);
  if (!error) {
    CHECK(wait_until(*r, [&] { return sink.count == 1; }));
    CHECK((sink.seen & event_refused) != 0);
    CHECK(refusal(sink.seen) == std::errc::bad_file_descriptor);
    settle(*r);
    CHECK(sink.count == 1);
  }
  r->unwatch(key);
}

}  // TEST_SUITE("reactor")
