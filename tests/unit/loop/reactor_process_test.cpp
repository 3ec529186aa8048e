// SPDX-License-Identifier: BSL-1.0

// What all reactors of Linux, and kqueue, promise of signals, threads, forked children and time
// namespaces.

#include "support/patience.hpp"
#include "support/process.hpp"
#include "support/reactors.hpp"
#include "support/time_namespace.hpp"

#include <sys/time.h>
#include <atomic>
#include <csignal>
#include <thread>

TEST_SUITE("reactor_process") {

using namespace ringbell;
using namespace ringbell::test;

TEST_CASE_TEMPLATE("signals are slept through", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  static std::atomic<int> signals;
  signals = 0;
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = [](int) { ++signals; };  // without SA_RESTART
  ::sigaction(SIGALRM, &action, &before);
  itimerval every{{0, 2000}, {0, 2000}};
  ::setitimer(ITIMER_REAL, &every, nullptr);
  const auto until = clock_type::now() + 30ms;
  CHECK(r->wait(until) == 0);
  CHECK(clock_type::now() >= until);
  every = {};
  ::setitimer(ITIMER_REAL, &every, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  CHECK(signals > 0);
}

TEST_CASE_TEMPLATE(
    "the watches of a thread that has ended go on with the next, which says that it is another", B,
    RINGBELL_REACTORS) {
  for (const bool foreign : {false, true}) {
    CAPTURE(foreign);
    auto r = B::make();
    if (!r) return;
    const auto bell = make_event();
    socket_pair s;
    recorder rung, heard;
    watch_key key, socket_key;
    std::thread([&] {
      if (foreign) r->pollable();
      (void)r->watch(bell.get(), event_read, watch_mode::edge, rung, key);
      (void)r->watch(s.near.get(), event_read, watch_mode::once, heard, socket_key);
      drain(*r);
      if (foreign) r->arm(reactor::time_point::max());
    }).join();
    signal_bell(bell);
    REQUIRE(::write(s.far.get(), "x", 1) == 1);
    if (foreign) CHECK(poll_now(r->pollable(), POLLIN, 60'000) != 0);
    r->change_thread();
    CHECK(wait_until(*r, [&] { return rung.count > 0 && heard.count > 0; }));
    CHECK(rung.seen == event_read);
    CHECK(heard.seen == event_read);
    drain(*r);
    rung.count = 0;
    std::thread([&] {
      r->change_thread();
      drain(*r);
      rung.count = 0;
    }).join();
    r->change_thread();
    signal_bell(bell);
    CHECK(wait_until(*r, [&] { return rung.count > 0; }));
    r->unwatch(key);
  }
}

TEST_CASE_TEMPLATE(
    "a forked child ends its copies of watches, and of the reactor, and the parent's go on", B,
    RINGBELL_REACTORS) {
  for (const bool asked : {false, true}) {
    CAPTURE(asked);
    auto r = B::make();
    if (!r) return;
    const auto bell = make_event();
    socket_pair s;
    recorder rung, heard;
    watch_key key, socket_key;
    REQUIRE_FALSE(r->watch(bell.get(), event_read, watch_mode::edge, rung, key));
    REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::edge, heard, socket_key));
    if (asked) drain(*r);
    CHECK(run_in_child([&] {
            r->unwatch(key);
            r->unwatch(socket_key);
            r.reset();
            return 0;
          }) == 0);
    signal_bell(bell);
    REQUIRE(::write(s.far.get(), "x", 1) == 1);
    CHECK(wait_until(*r, [&] { return rung.count > 0 && heard.count > 0; }));
    r->unwatch(key);
    r->unwatch(socket_key);
  }
}

TEST_CASE_TEMPLATE("in a time namespace waits and timers are of the length that was asked for", B,
                   RINGBELL_REACTORS) {
  const int outcome = run_a_day_ahead([] {
    auto r = B::make();
    if (!r) return 77;
    auto due = clock_type::now() + 20ms;
    r->wait(due);
    if (clock_type::now() < due) return 1;
    const sys::native_handle handle = r->pollable();
    due = clock_type::now() + 20ms;
    r->arm(due);
    if (poll_now(handle, POLLIN, 60'000) == 0) return 2;
    return clock_type::now() < due ? 3 : 0;
  });
  if (outcome == 77)
    MESSAGE("skipped: no time namespaces");
  else
    CHECK(outcome == 0);
}

}  // TEST_SUITE("reactor_process")
