// SPDX-License-Identifier: BSL-1.0

// A kqueue whose kernel has no memory, over the shim.

#include "kqueue_shim/sys/event.h"
#include "support/patience.hpp"
#include "support/poll.hpp"
#include "support/reactors.hpp"

#include <cerrno>

TEST_SUITE("reactor_kqueue") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

/// How many calls, or changes, are yet to fail, and with which error.
int calls_to_fail = 0;
int changes_to_fail = 0;
int error_of_changes = ENOMEM;

/// Installs the two while it lives.
struct faults {
  faults() {
    calls_to_fail = changes_to_fail = 0;
    error_of_changes = ENOMEM;
    kqueue_shim_fault = [](const struct kevent* change) {
      int& left = change ? changes_to_fail : calls_to_fail;
      if (left == 0) return 0;
      --left;
      return change ? error_of_changes : ENOMEM;
    };
  }
  faults(const faults&) = delete;
  faults& operator=(const faults&) = delete;
  ~faults() { kqueue_shim_fault = nullptr; }
};

struct watched {
  explicit watched(reactor& on) : event(make_event()), sink([this] { heard = true; }) {
    REQUIRE_FALSE(on.watch(event.get(), event_read, watch_mode::edge, sink, key));
  }
  sys::handle event;
  recorder sink;
  watch_key key;
  bool heard = false;
};

}  // namespace

TEST_CASE("a watch whose call to the kernel fails as a whole goes with the next one") {
  const faults some;
  const auto r = kqueue_set::make();
  watched w(*r);
  calls_to_fail = 3;
  signal_bell(w.event);
  CHECK(wait_until(*r, [&] { return w.heard; }));
  CHECK(calls_to_fail == 0);
  CHECK(w.sink.seen == event_read);
  r->unwatch(w.key);
}

TEST_CASE(
    "a watch that is refused for want of memory begins again, and its sink hears of no error") {
  const faults some;
  const auto r = kqueue_set::make();
  watched w(*r);
  changes_to_fail = 3;
  signal_bell(w.event);
  CHECK(wait_until(*r, [&] { return w.heard; }));
  CHECK(changes_to_fail == 0);
  CHECK(w.sink.seen == event_read);
  r->unwatch(w.key);
}

TEST_CASE("a watch that is refused for another reason is told so") {
  const faults some;
  const auto r = kqueue_set::make();
  watched w(*r);
  changes_to_fail = 1;
  error_of_changes = EPERM;
  CHECK(wait_until(*r, [&] { return w.heard; }));
  CHECK((w.sink.seen & event_refused) != 0);
  r->unwatch(w.key);
}

TEST_CASE(
    "a foreign loop hears of a watch, and of a time, that could not be handed over at first") {
  const faults some;
  const auto r = kqueue_set::make();
  watched w(*r);
  calls_to_fail = 1;
  CHECK_THROWS_AS(r->arm(clock_type::now()), std::system_error);
  r->arm(clock_type::now());
  CHECK(readable_within(r->pollable(), patience));
  drain(*r);
  changes_to_fail = 1;  // the timer
  CHECK_THROWS_AS(r->arm(clock_type::now()), std::system_error);
  r->arm(clock_type::now());
  CHECK(readable_within(r->pollable(), patience));
  drain(*r);
  r->arm(reactor::time_point::max());
  CHECK_FALSE(readable_within(r->pollable(), 0ms));
  signal_bell(w.event);
  CHECK(readable_within(r->pollable(), patience));
  r->unwatch(w.key);
}

TEST_CASE("a foreign loop calls again for a watch that was refused for want of memory") {
  const faults some;
  const auto r = kqueue_set::make();
  watched w(*r);
  changes_to_fail = 1;
  r->arm(reactor::time_point::max());
  CHECK(readable_within(r->pollable(), patience));
  while (r->wait(reactor::time_point::min()) != 0) {}
  r->arm(reactor::time_point::max());
  signal_bell(w.event);
  CHECK(readable_within(r->pollable(), patience));
  CHECK(wait_until(*r, [&] { return w.heard; }));
  r->unwatch(w.key);
}

TEST_CASE("more changes than a call takes survive that it fails") {
  const faults some;
  const auto r = kqueue_set::make();
  std::vector<std::unique_ptr<watched>> all;
  calls_to_fail = 2;
  for (int i = 0; i < 300; ++i) all.push_back(std::make_unique<watched>(*r));
  CHECK(calls_to_fail == 0);
  calls_to_fail = 2;
  for (const auto& w : all) signal_bell(w->event);
  CHECK(wait_until(
      *r, [&] { return std::ranges::all_of(all, [](const auto& w) { return w->heard; }); }));
  calls_to_fail = 2;
  for (const auto& w : all) r->unwatch(w->key);
}

TEST_CASE("a watch that ends while it waits to begin again is not begun") {
  const faults some;
  const auto r = kqueue_set::make();
  watched w(*r);
  changes_to_fail = 1;
  r->arm(reactor::time_point::max());
  r->unwatch(w.key);
  signal_bell(w.event);
  drain(*r);
  CHECK_FALSE(w.heard);
  watched next(*r);
  signal_bell(next.event);
  CHECK(wait_until(*r, [&] { return next.heard; }));
  r->unwatch(next.key);
}

}  // TEST_SUITE("reactor_kqueue")
