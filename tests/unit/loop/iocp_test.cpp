// SPDX-License-Identifier: BSL-1.0

// What the reactor of Windows promises. The tests of reactors that Linux has are written with its
// sockets and eventfds (reactor_test.cpp); these are their like on events and processes, and those
// of what is different: signals are taken by a wait.

#include "loop/object_wait.hpp"
#include "loop/reactor.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/handle.hpp>

#include <doctest/doctest.h>

#include <windows.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "support/patience.hpp"
#include "support/process.hpp"

TEST_SUITE("iocp") {

using namespace ringbell;
using namespace ringbell::detail;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

// With packets where the system has them, and without.
template <bool Packets>
struct port {
  static std::unique_ptr<reactor> make() {
    if (Packets && !has_wait_packets()) {
      MESSAGE("skipped: this system has no wait completion packets");
      return nullptr;
    }
    std::error_code error;
    auto made = make_iocp_reactor(error, Packets);
    REQUIRE_MESSAGE(made, error.message());
    return made;
  }
};
using port_with_packets = port<true>;
using port_with_threads = port<false>;
#define RINGBELL_PORTS port_with_packets, port_with_threads

struct recorder final : event_sink {
  recorder() = default;
  explicit recorder(std::function<void()> f) : then(std::move(f)) {}
  void on_event(std::uint32_t events) noexcept override {
    ++count;
    seen |= events;
    if (then) then();
  }
  int count = 0;
  std::uint32_t seen = 0;
  std::function<void()> then;
};

sys::handle make_event(bool set = false, bool auto_reset = true) {
  sys::handle made(::CreateEventW(nullptr, !auto_reset, set, nullptr));
  REQUIRE(made);
  return made;
}

void signal_bell(const sys::handle& event) { ::SetEvent(event.get()); }

bool is_signalled(sys::native_handle object, DWORD milliseconds = 0) {
  return ::WaitForSingleObject(object, milliseconds) == WAIT_OBJECT_0;
}

// Waits until a condition holds; false after ten seconds.
template <class Condition>
bool wait_until(reactor& r, Condition holds) {
  const auto deadline = clock_type::now() + test::patience;
  while (!holds()) {
    if (clock_type::now() >= deadline) return false;
    r.wait(deadline);
  }
  return true;
}

// Delivers as a foreign loop does: sleeps on the pollable handle, and then asks the reactor.
template <class Condition>
bool poll_until(reactor& r, Condition holds) {
  const auto deadline = clock_type::now() + test::patience;
  while (!holds()) {
    if (clock_type::now() >= deadline) return false;
    r.arm(deadline);
    is_signalled(r.pollable(), 60'000);
    r.poll();
  }
  return true;
}

// A signal takes a moment from the event to the port. One that was given to the reactor before is
// there when this one has come back.
void let_settle(reactor& r) {
  auto last = make_event(true);
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r.watch(last.get(), event_read, watch_mode::once, sink, key));
  REQUIRE(wait_until(r, [&] { return sink.count == 1; }));
  while (r.wait(reactor::time_point::min()) != 0) {}
}

// A thread that rings, until it is told to end.
class ringer {
public:
  explicit ringer(std::function<void()> body) : thread_(std::move(body)) {}
  ~ringer() { thread_.join(); }

private:
  std::thread thread_;
};

}  // namespace

TEST_CASE_TEMPLATE("an edge watch reports what was there when it began", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(true);
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  CHECK(sink.count == 0);
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  CHECK(sink.seen == event_read);
  let_settle(*r);
  CHECK(sink.count == 1);
  r->unwatch(key);
  CHECK_FALSE(key);
}

TEST_CASE_TEMPLATE("each of 300 rings that wait for each other is reported", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::atomic<int> rung{0}, heard{0};
  std::atomic<bool> stop{false};
  recorder sink([&] { heard = rung.load(); });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  {
    const ringer other([&] {
      for (int i = 1; i <= 300 && !stop; ++i) {
        rung = i;
        signal_bell(event);
        while (heard != i && !stop) std::this_thread::yield();
      }
    });
    CHECK(wait_until(*r, [&] { return heard == 300; }));
    stop = true;
  }
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("rings in a burst may merge, but an event comes after the last", B,
                   RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::atomic<int> rung{0};
  int heard = 0;
  recorder sink([&] { heard = rung; });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  {
    const ringer other([&] {
      for (int i = 1; i <= 1000; ++i) {
        rung = i;
        signal_bell(event);
      }
    });
    CHECK(wait_until(*r, [&] { return heard == 1000; }));
  }
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("poll alone delivers every event that wait would", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::atomic<int> rung{0}, heard{0};
  std::atomic<bool> stop{false};
  recorder sink([&] { heard = rung.load(); });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  {
    const ringer other([&] {
      for (int i = 1; i <= 100 && !stop; ++i) {
        rung = i;
        signal_bell(event);
        while (heard != i && !stop) std::this_thread::yield();
      }
    });
    const auto deadline = clock_type::now() + test::patience;
    while (heard != 100 && clock_type::now() < deadline)
      if (r->poll() == 0) std::this_thread::yield();
    CHECK(heard == 100);
    stop = true;
  }
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("a once watch fires once and frees its slot before the sink is called", B,
                   RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(true);
  watch_key key, inner_key;
  recorder inner;
  recorder sink(
      [&] { CHECK_FALSE(r->watch(event.get(), event_read, watch_mode::once, inner, inner_key)); });
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, sink, key));
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  CHECK(inner.count == 0);
  signal_bell(event);
  CHECK(wait_until(*r, [&] { return inner.count > 0; }));
  signal_bell(event);
  let_settle(*r);
  CHECK(sink.count == 1);
  CHECK(inner.count == 1);
  CHECK(static_cast<std::uint32_t>(key.value) == static_cast<std::uint32_t>(inner_key.value));
  CHECK(key.value != inner_key.value);
  CHECK(is_signalled(event.get()));  // nobody took the last one
}

TEST_CASE("a signal that was taken for a watch that then ended is there for the next") {
  auto r = port_with_packets::make();  // the thread pool forgets it when it has not called back yet
  if (!r) return;
  auto event = make_event();
  for (int i = 0; i < 20; ++i) {
    recorder gone, next;
    watch_key key;
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, gone, key));
    signal_bell(event);
    r->unwatch(key);
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, next, key));
    CHECK(wait_until(*r, [&] { return next.count == 1; }));
    CHECK(gone.count == 0);
  }
}

TEST_CASE_TEMPLATE(
    "a signal whose completion is in the port when its watch ends is there for the next", B,
    RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  for (int i = 0; i < 20; ++i) {
    recorder gone, next;
    watch_key key;
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, gone, key));
    r->arm(reactor::time_point::max());
    REQUIRE_FALSE(is_signalled(r->pollable()));
    signal_bell(event);
    REQUIRE(is_signalled(r->pollable(), 60'000));
    r->unwatch(key);
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, next, key));
    CHECK(wait_until(*r, [&] { return next.count == 1; }));
    CHECK(gone.count == 0);
    r->wait(reactor::time_point::min());
  }
}

TEST_CASE_TEMPLATE(
    "a signal is there for the next watch when an earlier sink of the same batch has ended the one that it was for",
    B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  // Whether something is in the port shows in the pollable event. What the pool has taken, but not
  // posted, when its wait ends would be lost.
  const auto in_the_port = [&](const sys::handle& event) {
    ::ResetEvent(r->pollable());
    signal_bell(event);
    return is_signalled(r->pollable(), 60'000);
  };
  auto one = make_event(), two = make_event();
  recorder next;
  watch_key key_one, key_two, key_next;
  recorder sink_one([&] { r->unwatch(key_two); });
  recorder sink_two([&] { r->unwatch(key_one); });
  REQUIRE_FALSE(r->watch(one.get(), event_read, watch_mode::edge, sink_one, key_one));
  REQUIRE_FALSE(r->watch(two.get(), event_read, watch_mode::edge, sink_two, key_two));
  r->pollable();
  REQUIRE(in_the_port(one));
  REQUIRE(in_the_port(two));
  CHECK(wait_until(*r, [&] { return sink_one.count + sink_two.count > 0; }));
  let_settle(*r);
  CHECK(sink_one.count + sink_two.count == 1);
  auto& unheard = sink_one.count == 0 ? one : two;
  REQUIRE_FALSE(r->watch(unheard.get(), event_read, watch_mode::once, next, key_next));
  CHECK(wait_until(*r, [&] { return next.count == 1; }));
  r->unwatch(key_one);
  r->unwatch(key_two);
}

TEST_CASE_TEMPLATE("a sink may begin so many watches that the table moves", B, RINGBELL_PORTS) {
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
  for (auto& key : keys) r->unwatch(key);
  r->unwatch(key_one);
  r->unwatch(key_two);
}

TEST_CASE_TEMPLATE(
    "of three watches on one event each hears every ring, and goes on when the others end", B,
    RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::vector<recorder> sinks(3);
  std::vector<watch_key> keys(3);
  for (std::size_t i = 0; i < 3; ++i)
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sinks[i], keys[i]));
  for (const std::size_t end : {0u, 2u, 1u}) {
    for (auto& sink : sinks) sink.count = 0;
    signal_bell(event);
    CHECK(wait_until(*r, [&] {
      for (std::size_t i = 0; i < 3; ++i)
        if (keys[i] && sinks[i].count == 0) return false;
      return true;
    }));
    for (std::size_t i = 0; i < 3; ++i) CHECK(sinks[i].count == (keys[i] ? 1 : 0));
    r->unwatch(keys[end]);
  }
  signal_bell(event);
  let_settle(*r);
  CHECK(is_signalled(event.get()));
}

TEST_CASE_TEMPLATE("keys of ended watches are harmless", B, RINGBELL_PORTS) {
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
  signal_bell(event);
  CHECK(wait_until(*r, [&] { return stays.count == 1; }));
  r->unwatch(live);
}

TEST_CASE_TEMPLATE("a handle that came back as another object is not told of the first one", B,
                   RINGBELL_PORTS) {
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
    let_settle(*r);
    CHECK(gone.count == 0);
    CHECK(stays.count == 0);
    r->unwatch(next);
  }
}

TEST_CASE_TEMPLATE("what stays signalled is reported once to each watch", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(true, false);
  recorder edge, once, later;
  watch_key edge_key, once_key, later_key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, edge, edge_key));
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, once, once_key));
  CHECK(wait_until(*r, [&] { return edge.count > 0 && once.count > 0; }));
  let_settle(*r);
  CHECK(edge.count == 1);
  CHECK(once.count == 1);
  r->unwatch(edge_key);
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, later, later_key));
  CHECK(wait_until(*r, [&] { return later.count == 1; }));
}

TEST_CASE_TEMPLATE("a process is ready when it has ended", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  STARTUPINFOW startup{};
  startup.cb = sizeof startup;
  PROCESS_INFORMATION started{};
  wchar_t command[] = L"cmd.exe /c pause";  // until it is ended
  REQUIRE(::CreateProcessW(nullptr, command, nullptr, nullptr, FALSE,
                           CREATE_NO_WINDOW | CREATE_SUSPENDED, nullptr, nullptr, &startup,
                           &started));
  const sys::handle process(started.hProcess), thread(started.hThread);
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(process.get(), event_read, watch_mode::once, sink, key));
  let_settle(*r);
  CHECK(sink.count == 0);
  REQUIRE(::TerminateProcess(process.get(), 1));
  CHECK(wait_until(*r, [&] { return sink.count == 1; }));
}

TEST_CASE_TEMPLATE("nothing can be watched for writing", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(true);
  recorder sink;
  watch_key key;
  CHECK(r->watch(event.get(), event_write, watch_mode::once, sink, key) == errc::not_supported);
  CHECK(r->watch(event.get(), event_read | event_write, watch_mode::edge, sink, key) ==
        errc::not_supported);
  CHECK_FALSE(key);
}

TEST_CASE_TEMPLATE("what is no handle, or cannot be waited for, is an error", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  recorder sink;
  watch_key key;
  const sys::handle section(
      ::CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0, 4096, nullptr));
  REQUIRE(section);
  for (const sys::native_handle h :
       {sys::invalid_handle, ::GetCurrentProcess(),
        reinterpret_cast<void*>(std::uintptr_t{0x3fffff0}), section.get()})
    CHECK(r->watch(h, event_read, watch_mode::edge, sink, key));
  CHECK_FALSE(key);
}

TEST_CASE_TEMPLATE("wait returns at its deadline, and not before", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  for (const auto time : {1ns, 1'000ns, 50'000ns, 999'999ns, 1'000'001ns, 3'500'000ns}) {
    const auto until = clock_type::now() + time;
    CHECK(r->wait(until) == 0);
    CHECK(clock_type::now() >= until);
  }
  CHECK(r->wait(reactor::time_point::min()) == 0);
  CHECK(r->wait(reactor::time_point()) == 0);
}

TEST_CASE_TEMPLATE("wait without a deadline sleeps until something happens", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  const ringer other([&] { signal_bell(event); });
  CHECK(r->wait(reactor::time_point::max()) == 1);
  CHECK(sink.count == 1);
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("a foreign loop that sleeps on the pollable handle misses no ring", B,
                   RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::atomic<int> rung{0}, heard{0};
  std::atomic<bool> stop{false};
  recorder sink([&] { heard = rung.load(); });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  {
    const ringer other([&] {
      for (int i = 1; i <= 300 && !stop; ++i) {
        rung = i;
        signal_bell(event);
        while (heard != i && !stop) std::this_thread::yield();
      }
    });
    CHECK(poll_until(*r, [&] { return heard == 300; }));
    stop = true;
  }
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "the pollable handle is readable while something is to be delivered, and only then", B,
    RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  r->arm(reactor::time_point::max());
  CHECK_FALSE(is_signalled(r->pollable()));
  for (int i = 1; i <= 3; ++i) {
    signal_bell(event);
    CHECK(is_signalled(r->pollable(), 60'000));
    CHECK(is_signalled(r->pollable()));
    CHECK(r->poll() == 1);
    r->arm(reactor::time_point::max());
    CHECK_FALSE(is_signalled(r->pollable()));
  }
  CHECK(sink.count == 3);
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "the pollable handle becomes readable at the armed time, and not when that was taken back", B,
    RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  for (int i = 0; i < 3; ++i) {
    const auto begun = clock_type::now();
    r->arm(begun + 20ms);
    CHECK(is_signalled(r->pollable(), 60'000));
    CHECK(clock_type::now() - begun >= 15ms);  // the timer counts ticks, and not this clock's
    CHECK(r->poll() == 0);
    r->arm(reactor::time_point::max());
    r->poll();
    CHECK_FALSE(is_signalled(r->pollable()));
  }
  r->arm(clock_type::now() + 20ms);
  r->arm(clock_type::now() + 24h);
  r->arm(reactor::time_point::max());
  r->poll();
  CHECK_FALSE(is_signalled(r->pollable(), 40));
  r->arm(reactor::time_point::min());
  CHECK(is_signalled(r->pollable(), 60'000));
}

TEST_CASE_TEMPLATE("watches that began before a foreign loop asked for the handle go on", B,
                   RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(), pending = make_event(true), ended = make_event(),
       stays = make_event(true, false);
  recorder edge, undelivered, gone, once_only;
  watch_key edge_key, undelivered_key, ended_key, stays_key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, edge, edge_key));
  REQUIRE_FALSE(r->watch(ended.get(), event_read, watch_mode::edge, gone, ended_key));
  REQUIRE_FALSE(r->watch(stays.get(), event_read, watch_mode::edge, once_only, stays_key));
  CHECK(wait_until(*r, [&] { return once_only.count == 1; }));
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
  CHECK(once_only.count == 1);
  r->unwatch(edge_key);
  r->unwatch(undelivered_key);
  r->unwatch(stays_key);
}

TEST_CASE_TEMPLATE(
    "each of 1000 watches hears the last of a flood of rings, slept for and polled for", B,
    RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  std::vector<sys::handle> events;
  for (int i = 0; i < 1000; ++i) events.push_back(make_event());
  std::vector<recorder> sinks(events.size());
  std::vector<watch_key> keys(events.size());
  for (std::size_t i = 0; i < events.size(); ++i)
    REQUIRE_FALSE(r->watch(events[i].get(), event_read, watch_mode::edge, sinks[i], keys[i]));
  const auto all = [&] {
    return std::all_of(sinks.begin(), sinks.end(), [](const recorder& s) { return s.count > 0; });
  };
  for (int round = 1; round <= 4; ++round) {
    for (auto& sink : sinks) sink.count = 0;
    for (const auto& event : events) signal_bell(event), signal_bell(event);
    CHECK((round < 3 ? wait_until(*r, all) : poll_until(*r, all)));
    let_settle(*r);
  }
  for (auto& key : keys) r->unwatch(key);
}

TEST_CASE_TEMPLATE("rings that nobody listens to leave one event", B, RINGBELL_PORTS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  for (int i = 0; i < 5'000; ++i) signal_bell(event);
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  let_settle(*r);
  CHECK(sink.count <= 3);  // in the port, on its way there, and in the event
  sink.count = 0;
  signal_bell(event);
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("a reactor leaves no handle behind", B, RINGBELL_PORTS) {
  if (!B::make()) return;  // and the pool has what it keeps
  const auto use_one = [] {
    auto r = B::make();
    auto event = make_event(true), other = make_event();
    recorder sink;
    watch_key key, left;
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
    REQUIRE_FALSE(r->watch(other.get(), event_read, watch_mode::edge, sink, left));
    r->arm(clock_type::now());
    CHECK(wait_until(*r, [&] { return sink.count > 0; }));
    r->unwatch(key);  // the other one is left to the destructor
    r.reset();
  };
  for (int i = 0; i < 10; ++i) use_one();
  const int before = test::open_descriptors();
  for (int i = 0; i < 50; ++i) use_one();
  CHECK(test::open_descriptors() < before + 25);  // less than one each: the pool keeps some
}

TEST_CASE_TEMPLATE(
    "a reactor may be made and given its first watches on one thread, and used on another", B,
    RINGBELL_PORTS) {
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

}  // TEST_SUITE("iocp")
