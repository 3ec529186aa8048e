// SPDX-License-Identifier: BSL-1.0

// What the reactors promise of watches: how they begin, report and end. reactor_wait_test.cpp has
// the rest.

#include "support/patience.hpp"
#include "support/reactors.hpp"

#include "loop/peer_set.hpp"
#include "loop/watch_table.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <algorithm>
#include <atomic>
#include <iterator>
#include <thread>

TEST_SUITE("reactor") {

using namespace ringbell;
using namespace ringbell::test;

TEST_CASE("a key of an ended watch does not find the watch that got its slot") {
  watch_table<watch_slot> table;
  recorder sink;
  watch_slot& first = table.open(sink);
  const watch_key old = table.key_of(first);
  CHECK(table.find(old.value) == &first);
  table.close(first);
  CHECK(table.find(old.value) == nullptr);

  watch_slot& second = table.open(sink);
  CHECK(table.size() == 1);
  CHECK(table.key_of(second).value != old.value);
  CHECK(table.find(old.value) == nullptr);
  CHECK(table.find(table.key_of(second).value) == &second);
}

TEST_CASE("what the set of peers could not collect, it asks for again") {
  peer_set without_a_kernel;  // never made: the kernel gives an error
  without_a_kernel.notice();
  CHECK(without_a_kernel.collect([](std::uint64_t, std::uint32_t) { return true; }) == 0);
  CHECK(without_a_kernel.has_more());

  peer_set made;
  REQUIRE_FALSE(made.make());
  made.notice();
  CHECK(made.collect([](std::uint64_t, std::uint32_t) { return true; }) == 0);
  CHECK_FALSE(made.has_more());
}

TEST_CASE("no key is below 2^32, even when a generation has wrapped") {
  watch_table<watch_slot> table;
  recorder sink;
  watch_slot& slot = table.open(sink);
  slot.generation = ~std::uint32_t{0};
  table.close(slot);
  CHECK((table.key_of(table.open(sink)).value >> 32) != 0);
  CHECK(table.find(0) == nullptr);
  CHECK(table.find(1) == nullptr);
  CHECK(table.find(~std::uint64_t{0}) == nullptr);
}

TEST_CASE("queued slots come out in order, and each only once") {
  watch_table<watch_slot> table;
  recorder sink;
  for (int i = 0; i < 3; ++i) table.open(sink);
  std::vector<watch_slot*> slots;
  for (std::uint64_t i = 0; i < 3; ++i) slots.push_back(table.find(std::uint64_t{1} << 32 | i));
  for (const std::size_t i : {2u, 0u, 2u, 1u, 0u}) table.push(*slots[i]);
  CHECK(table.queued() == 3);
  for (const std::size_t i : {2u, 0u, 1u}) {
    CHECK(&table.front() == slots[i]);
    table.pop();
  }
  CHECK(table.queued() == 0);
}

TEST_CASE_TEMPLATE("an edge watch reports what was there when it began", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(1);
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  CHECK(sink.count == 0);
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  CHECK(sink.seen == event_read);
  drain(*r);
  CHECK(sink.count == 1);
  r->unwatch(key);
  CHECK_FALSE(key);
}

TEST_CASE_TEMPLATE("an undrained eventfd reports each of 1000 rings that wait for each other", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::atomic<int> rung{0}, heard{0};
  recorder sink([&] { heard.store(rung.load(), std::memory_order_release), heard.notify_one(); });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  std::thread ringer([&] {
    for (int i = 1; i <= 1000; ++i) {
      rung = i;
      signal_bell(event);
      while (heard.load(std::memory_order_acquire) != i) heard.wait(i - 1);
    }
  });
  const bool all = wait_until(*r, [&] { return heard == 1000; });
  CHECK(all);
  if (!all) std::_Exit(1);  // the ringer waits for ever
  ringer.join();
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
  std::atomic<int> rung{0}, heard{0};
  recorder sink([&] { heard = rung.load(); });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  std::atomic<bool> stop{false};
  std::thread ringer([&] {
    for (int i = 1; i <= 100 && !stop; ++i) {
      rung = i;
      signal_bell(event);
      while (heard != i && !stop) std::this_thread::yield();
    }
  });
  const auto deadline = clock_type::now() + patience;
  while (heard != 100 && clock_type::now() < deadline)
    if (r->poll() == 0) std::this_thread::yield();  // the ringer may have no other core
  CHECK(heard == 100);
  stop = true;
  ringer.join();
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("a once watch fires once and frees its slot before the sink is called", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(1);
  watch_key key, inner_key;
  recorder inner;
  recorder sink(
      [&] { CHECK_FALSE(r->watch(event.get(), event_read, watch_mode::once, inner, inner_key)); });
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, sink, key));
  CHECK(wait_until(*r, [&] { return inner.count > 0; }));
  signal_bell(event);
  drain(*r);
  CHECK(sink.count == 1);
  CHECK(inner.count == 1);
  CHECK(static_cast<std::uint32_t>(key.value) == static_cast<std::uint32_t>(inner_key.value));
  CHECK(key.value != inner_key.value);
}

TEST_CASE_TEMPLATE("a once watch fires when the handle becomes ready later", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  socket_pair s;
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::once, sink, key));
  drain(*r);
  CHECK(sink.count == 0);
  REQUIRE(::send(s.far.get(), "x", 1, 0) == 1);
  CHECK(wait_until(*r, [&] { return sink.count == 1; }));
  CHECK(sink.seen == event_read);
}

TEST_CASE_TEMPLATE("a sink may end the watch of another event of the same batch, and its own", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto one = make_event(1), two = make_event(1);
  watch_key key_one, key_two;
  recorder sink_one([&] { r->unwatch(key_one), r->unwatch(key_two); });
  recorder sink_two([&] { r->unwatch(key_one), r->unwatch(key_two); });
  REQUIRE_FALSE(r->watch(one.get(), event_read, watch_mode::edge, sink_one, key_one));
  REQUIRE_FALSE(r->watch(two.get(), event_read, watch_mode::edge, sink_two, key_two));
  CHECK(wait_until(*r, [&] { return sink_one.count + sink_two.count > 0; }));
  signal_bell(one);
  signal_bell(two);
  drain(*r);
  CHECK(sink_one.count + sink_two.count == 1);
}

TEST_CASE_TEMPLATE("a sink may begin so many watches that the table moves", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto one = make_event(1), two = make_event(1);
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

TEST_CASE_TEMPLATE("of three watches on one handle each goes on when the others end", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::vector<recorder> sinks(3);
  std::vector<watch_key> keys(3);
  for (std::size_t i = 0; i < 3; ++i)
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sinks[i], keys[i]));
  drain(*r);
  for (const std::size_t end : {0u, 2u, 1u}) {
    for (auto& sink : sinks) sink.count = 0;
    signal_bell(event);
    CHECK(wait_until(*r, [&] {
      for (std::size_t i = 0; i < 3; ++i)
        if (keys[i] && sinks[i].count == 0) return false;
      return true;
    }));
    drain(*r);
    for (std::size_t i = 0; i < 3; ++i) CHECK(sinks[i].count == (keys[i] ? 1 : 0));
    r->unwatch(keys[end]);
  }
}

TEST_CASE_TEMPLATE("keys of ended watches are harmless", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(1);
  recorder gone, stays;
  watch_key old, live;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, gone, old));
  CHECK(wait_until(*r, [&] { return gone.count == 1; }));
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, stays, live));
  r->unwatch(old);
  watch_key none;
  r->unwatch(none);
  CHECK(wait_until(*r, [&] { return stays.count == 1; }));
  r->unwatch(live);
}

TEST_CASE_TEMPLATE("a watch that ends before the kernel has heard of it reports nothing", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  recorder gone, stays;
  watch_key key, live;
  auto event = make_event(1), other = make_event(1);
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, gone, key));
  REQUIRE_FALSE(r->watch(other.get(), event_read, watch_mode::edge, stays, live));
  r->unwatch(key);
  event.reset();
  CHECK(wait_until(*r, [&] { return stays.count == 1; }));
  CHECK(gone.count == 0);
  r->unwatch(live);
}

TEST_CASE_TEMPLATE("one handle may be watched for reading and for writing at once", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  socket_pair s;
  recorder reader, writer;
  watch_key read_key, write_key;
  REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::edge, reader, read_key));
  REQUIRE_FALSE(r->watch(s.near.get(), event_write, watch_mode::once, writer, write_key));
  CHECK(wait_until(*r, [&] { return writer.count == 1; }));
  CHECK(reader.count == 0);
  REQUIRE(::send(s.far.get(), "x", 1, 0) == 1);
  CHECK(wait_until(*r, [&] { return reader.count > 0; }));
  CHECK((reader.seen & event_read) != 0);
  CHECK(writer.count == 1);
  r->unwatch(read_key);
  r->unwatch(write_key);
}

TEST_CASE_TEMPLATE("a regular file is ready at once, and reported once", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  const sys::handle file(::memfd_create("reactor_test", MFD_CLOEXEC));
  recorder once, edge, gone;
  watch_key once_key, edge_key, gone_key;
  REQUIRE_FALSE(r->watch(file.get(), event_read, watch_mode::once, once, once_key));
  REQUIRE_FALSE(r->watch(file.get(), event_read | event_write, watch_mode::edge, edge, edge_key));
  REQUIRE_FALSE(r->watch(file.get(), event_read, watch_mode::edge, gone, gone_key));
  r->unwatch(gone_key);
  CHECK(wait_until(*r, [&] { return once.count > 0 && edge.count > 0; }));
  drain(*r);
  CHECK(once.count == 1);
  CHECK(once.seen == event_read);
  CHECK(edge.count == 1);
  CHECK(edge.seen == (event_read | event_write));
  CHECK(gone.count == 0);
  r->unwatch(edge_key);
}

TEST_CASE_TEMPLATE("a handle that is not open is an error, at once or by event", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  recorder sink;
  watch_key key;
  const std::error_code error = r->watch(1'000'000'000, event_read, watch_mode::edge, sink, key);
  if (!error) {
    CHECK(wait_until(*r, [&] { return sink.count == 1; }));
    CHECK((sink.seen & event_refused) != 0);
    CHECK(refusal(sink.seen) == std::errc::bad_file_descriptor);
    drain(*r);
    CHECK(sink.count == 1);
  }
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "a peer that closes is a hang-up, also for a watch that wants neither read nor write", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  socket_pair s;
  recorder sink, bare;
  watch_key key, bare_key;
  REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::edge, sink, key));
  REQUIRE_FALSE(r->watch(s.near.get(), 0, watch_mode::edge, bare, bare_key));
  drain(*r);
  CHECK((sink.seen & event_hangup) == 0);
  s.far.reset();
  CHECK(wait_until(
      *r, [&] { return (sink.seen & event_hangup) != 0 && (bare.seen & event_hangup) != 0; }));
  drain(*r);
  r->unwatch(key);
  r->unwatch(bare_key);
}

TEST_CASE_TEMPLATE("a peer that is killed is a hang-up", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  socket_pair s;
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::edge, sink, key));
  drain(*r);
  child peer([&] {
    for (;;) ::pause();
  });
  s.far.reset();
  drain(*r);
  CHECK(sink.count == 0);
  peer.kill();
  CHECK(wait_until(*r, [&] { return (sink.seen & event_hangup) != 0; }));
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("peers of a process that is killed hear of it at once, whatever it was watching",
                   B, RINGBELL_REACTORS) {
  for (int round = 0; round < 10; ++round) {
    socket_pair s, ready;
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    sys::handle pipe_end(fds[0]);
    const sys::handle pipe_source(fds[1]);
    auto event = make_event();
    child victim([&] {
      auto r = B::make();
      if (!r) return;
      recorder sink;
      watch_key keys[5];
      if (r->watch(event.get(), event_read, watch_mode::edge, sink, keys[0])) return;
      if (r->watch(s.near.get(), event_read, watch_mode::edge, sink, keys[1])) return;
      if (r->watch(s.near.get(), event_read, watch_mode::once, sink, keys[2])) return;
      if (r->watch(s.near.get(), event_read, watch_mode::edge, sink, keys[3])) return;
      if (r->watch(pipe_end.get(), event_read, watch_mode::once, sink, keys[4])) return;
      r->wait(reactor::time_point::min());
      if (::send(ready.near.get(), "x", 1, 0) != 1) return;
      for (;;) r->wait(reactor::time_point::max());
    });
    ready.near.reset();
    s.near.reset();
    pipe_end.reset();
    REQUIRE((poll_now(ready.far.get(), POLLIN, 60'000) & POLLIN) != 0);
    char told;
    if (::recv(ready.far.get(), &told, 1, 0) != 1) return;  // no such ring here
    victim.kill();
    victim.join();  // whereupon the kernel has closed what was its
    CHECK((poll_now(s.far.get(), POLLIN) & POLLHUP) != 0);
    CHECK((poll_now(pipe_source.get(), 0) & POLLERR) != 0);
  }
}

TEST_CASE_TEMPLATE("of 300 sockets that become ready together each is reported once", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  for (const watch_mode mode : {watch_mode::edge, watch_mode::once}) {
    std::vector<socket_pair> pairs(300);
    std::vector<recorder> sinks(pairs.size());
    std::vector<watch_key> keys(pairs.size());
    for (std::size_t i = 0; i < pairs.size(); ++i)
      REQUIRE_FALSE(r->watch(pairs[i].near.get(), event_read, mode, sinks[i], keys[i]));
    drain(*r);
    for (const auto& s : pairs) REQUIRE(::send(s.far.get(), "x", 1, 0) == 1);
    const auto reported = [&] { return std::ranges::count(sinks, 1, &recorder::count); };
    CHECK(wait_until(*r, [&] { return reported() == std::ssize(sinks); }));
    drain(*r);
    CHECK(reported() == std::ssize(sinks));
    for (auto& key : keys) r->unwatch(key);
  }
}

TEST_CASE_TEMPLATE(
    "a foreign loop hears of sockets that were watched before it asked, even if 300 are ready together",
    B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  std::vector<socket_pair> pairs(300);
  std::vector<watch_key> keys(pairs.size());
  recorder sink;
  for (std::size_t i = 0; i < pairs.size(); ++i)
    REQUIRE_FALSE(r->watch(pairs[i].near.get(), event_read, watch_mode::edge, sink, keys[i]));
  drain(*r);
  for (int round = 1; round <= 3; ++round) {
    for (const auto& s : pairs) REQUIRE(::send(s.far.get(), "x", 1, 0) == 1);
    const auto deadline = clock_type::now() + patience;
    while (sink.count != round * std::ssize(pairs) && clock_type::now() < deadline) {
      r->arm(deadline);
      poll_now(r->pollable(), POLLIN, 60'000);
      r->poll();
    }
    CHECK(sink.count == round * std::ssize(pairs));
  }
  for (auto& key : keys) r->unwatch(key);
}

TEST_CASE_TEMPLATE("closing after unwatch hangs up to the peer at once", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  for (const watch_mode mode : {watch_mode::edge, watch_mode::once}) {
    socket_pair s;
    recorder sink;
    watch_key key;
    REQUIRE_FALSE(r->watch(s.near.get(), event_read, mode, sink, key));
    drain(*r);
    r->unwatch(key);
    s.near.reset();
    CHECK((poll_now(s.far.get(), POLLIN) & POLLHUP) != 0);
    drain(*r);
    CHECK(sink.count == 0);
  }
}

TEST_CASE_TEMPLATE("closing after unwatch hangs up at once while 2000 other watches have events", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  socket_pair s;
  recorder sink, others;
  watch_key key;
  const auto events = many_events(2000);
  std::vector<watch_key> keys(events.size());
  for (std::size_t i = 0; i < events.size(); ++i)
    REQUIRE_FALSE(r->watch(events[i].get(), event_read, watch_mode::edge, others, keys[i]));
  REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::edge, sink, key));
  drain(*r);
  for (const auto& event : events) signal_bell(event);
  r->unwatch(key);
  s.near.reset();
  CHECK((poll_now(s.far.get(), POLLIN) & POLLHUP) != 0);
  CHECK(others.count == 0);
  CHECK(wait_until(*r, [&] { return others.count >= static_cast<int>(events.size()); }));
  for (auto& k : keys) r->unwatch(k);
}

}  // TEST_SUITE("reactor")
