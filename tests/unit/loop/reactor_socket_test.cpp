// SPDX-License-Identifier: BSL-1.0

// What all reactors of Linux, and kqueue, promise of sockets and files: of being writable, of
// hang-ups and killed peers, and of what the foreign loop hears of them.

#include "support/allocations.hpp"
#include "support/patience.hpp"
#include "support/process.hpp"
#include "support/reactors.hpp"

#include <ringbell/sys/futex.hpp>

#include "loop/peer_set.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <algorithm>
#include <iterator>
#include <vector>

TEST_SUITE("reactor_socket") {

using namespace ringbell;
using namespace ringbell::test;

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

TEST_CASE_TEMPLATE("a foreign loop hears of a regular file, too", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  const sys::handle file(::memfd_create("reactor_wait_test", MFD_CLOEXEC));
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(file.get(), event_read, watch_mode::edge, sink, key));
  CHECK(poll_until(*r, [&] { return sink.count > 0; }));
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "watches of sockets and of futex words that began before a foreign loop asked for the handle go on",
    B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(), pending = make_event();
  socket_pair s, closing;
  sys::futex_word word{0};
  recorder edge, once, undelivered, ended, futex;
  watch_key edge_key, once_key, undelivered_key, ended_key, futex_key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, edge, edge_key));
  REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::once, once, once_key));
  REQUIRE_FALSE(
      r->watch(pending.get(), event_read, watch_mode::edge, undelivered, undelivered_key));
  REQUIRE_FALSE(r->watch(closing.near.get(), event_read, watch_mode::edge, ended, ended_key));
  if (r->has_futex()) REQUIRE_FALSE(r->watch_futex(word, 0, futex, futex_key));
  drain(*r);
  signal_bell(pending);
  if (r->has_futex()) CHECK(sys::futex_wake(word, 1, sys::futex_scope::shared) == 1);

  r->pollable();
  r->unwatch(ended_key);
  closing.near.reset();
  CHECK((poll_now(closing.far.get(), POLLIN) & POLLHUP) != 0);
  signal_bell(event);
  REQUIRE(::send(s.far.get(), "x", 1, 0) == 1);
  CHECK(poll_until(*r, [&] {
    return edge.count > 0 && once.count > 0 && undelivered.count > 0 &&
           (futex.count > 0 || !r->has_futex());
  }));
  drain(*r);
  CHECK(once.count == 1);
  CHECK(ended.count == 0);
  CHECK(futex.count == (r->has_futex() ? 1 : 0));
  r->unwatch(edge_key);
  r->unwatch(undelivered_key);
}

TEST_CASE_TEMPLATE(
    "nothing is allocated per event, nor for a watch that takes the place of an ended one", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  socket_pair s;
  recorder sink;
  watch_key key, once;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  REQUIRE_FALSE(r->watch(s.near.get(), event_write, watch_mode::once, sink, once));
  drain(*r);
  const std::size_t before = allocations;
  bool fine = true;
  for (int i = 0; i < 100; ++i) {
    signal_bell(event);
    fine = fine && !r->watch(s.near.get(), event_write, watch_mode::once, sink, once);
    r->wait(clock_type::now() + patience);
    r->poll();
  }
  CHECK(allocations == before);
  CHECK(fine);
  r->unwatch(once);
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("a reactor that has watched a socket leaves no descriptor behind", B,
                   RINGBELL_REACTORS) {
  const int before = open_descriptors();
  {
    auto r = B::make();
    if (!r) return;
    socket_pair s;
    recorder sink;
    watch_key read_key, write_key;
    REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::edge, sink, read_key));
    REQUIRE_FALSE(r->watch(s.near.get(), event_write, watch_mode::edge, sink, write_key));
    r->arm(clock_type::now());
    CHECK(wait_until(*r, [&] { return sink.count > 0; }));
    r->unwatch(write_key);  // the other one is left to the destructor
  }
  CHECK(open_descriptors() == before);
}

}  // TEST_SUITE("reactor_socket")
