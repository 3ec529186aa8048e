// SPDX-License-Identifier: BSL-1.0

// What only the reactor of Windows has: signals are taken by a wait, and are there for the next one
// when their watch ends. reactor_test.cpp and reactor_wait_test.cpp have what all reactors promise.

#include "support/patience.hpp"
#include "support/reactors.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/handle.hpp>

#include <windows.h>

TEST_SUITE("iocp") {

using namespace ringbell;
using namespace ringbell::test;

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
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  for (int i = 0; i < 20; ++i) {
    recorder gone, next;
    watch_key key;
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, gone, key));
    r->arm(reactor::time_point::max());
    REQUIRE_FALSE(is_readable(r->pollable()));
    signal_bell(event);
    REQUIRE(is_readable(r->pollable(), patience));
    r->unwatch(key);
    REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::once, next, key));
    CHECK(wait_until(*r, [&] { return next.count == 1; }));
    CHECK(gone.count == 0);
    r->wait(reactor::time_point::min());
  }
}

TEST_CASE_TEMPLATE(
    "a signal is there for the next watch when an earlier sink of the same batch has ended the one that it was for",
    B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  // Whether something is in the port shows in the pollable event. What the pool has taken, but not
  // posted, when its wait ends would be lost.
  const auto in_the_port = [&](const sys::handle& event) {
    ::ResetEvent(r->pollable());
    signal_bell(event);
    return is_readable(r->pollable(), patience);
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
  settle(*r);
  CHECK(sink_one.count + sink_two.count == 1);
  auto& unheard = sink_one.count == 0 ? one : two;
  REQUIRE_FALSE(r->watch(unheard.get(), event_read, watch_mode::once, next, key_next));
  CHECK(wait_until(*r, [&] { return next.count == 1; }));
  r->unwatch(key_one);
  r->unwatch(key_two);
}

TEST_CASE_TEMPLATE("a process is ready when it has ended", B, RINGBELL_REACTORS) {
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
  settle(*r);
  CHECK(sink.count == 0);
  REQUIRE(::TerminateProcess(process.get(), 1));
  CHECK(wait_until(*r, [&] { return sink.count == 1; }));
}

TEST_CASE_TEMPLATE("nothing can be watched for writing", B, RINGBELL_REACTORS) {
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

TEST_CASE_TEMPLATE("what is no handle, or cannot be waited for, is an error", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  recorder sink;
  watch_key key;
  const sys::handle section(
      ::CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0, 4096, nullptr));
  REQUIRE(section);
  for (const sys::native_handle h :
       {sys::invalid_handle, ::GetCurrentProcess(), no_handle, section.get()})
    CHECK(r->watch(h, event_read, watch_mode::edge, sink, key));
  CHECK_FALSE(key);
}

TEST_CASE_TEMPLATE("rings that nobody listens to leave one event", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  for (int i = 0; i < 5'000; ++i) signal_bell(event);
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  settle(*r);
  CHECK(sink.count <= 3);  // in the port, on its way there, and in the event
  sink.count = 0;
  signal_bell(event);
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "what stays signalled is not reported again when a foreign loop asks for the handle", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(), stays = make_lasting_event();
  recorder edge, once_only;
  watch_key edge_key, stays_key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, edge, edge_key));
  REQUIRE_FALSE(r->watch(stays.get(), event_read, watch_mode::edge, once_only, stays_key));
  CHECK(wait_until(*r, [&] { return once_only.count == 1; }));
  r->pollable();
  for (int i = 1; i <= 3; ++i) {
    signal_bell(event);
    CHECK(poll_until(*r, [&] { return edge.count == i; }));
  }
  CHECK(once_only.count == 1);
  r->unwatch(edge_key);
  r->unwatch(stays_key);
}

}  // TEST_SUITE("iocp")
