// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/loop/readiness.hpp>

#include <doctest/doctest.h>

#include "support/allocations.hpp"
#include "support/child_process.hpp"
#include "support/patience.hpp"
#include "support/resources.hpp"
#include "support/waitable.hpp"

#include <thread>

TEST_SUITE("readiness") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<void> wait_readable(sys::native_handle h, int& woken) {
  co_await readable(h);
  ++woken;
}
task<void> nap() { co_await sleep_for(1ms); }

int end_when_told(const milestone& told) {
  told.wait();
  return 0;
}

}  // namespace

TEST_CASE("readable waits until there is something to read") {
  const waitable w;
  int woken = 0;
  loop lp;
  lp.spawn(wait_readable(w.native(), woken));
  lp.run(nap());
  CHECK(woken == 0);
  w.signal();
  lp.run_until_idle();
  CHECK(woken == 1);
}

TEST_CASE("readable does not wait when there is something already") {
  const waitable w;
  int woken = 0;
  w.signal();
  loop lp;
  lp.run(timeout(patience, wait_readable(w.native(), woken)));
  lp.run(timeout(patience, wait_readable(w.native(), woken)));
  CHECK(woken == 2);
}

TEST_CASE("a process is readable when it has ended, and from then on") {
  const milestone told;
  child_process child(&end_when_told, told);
  int woken = 0;
  loop lp;
  lp.spawn(wait_readable(child.pid_handle(), woken));
  lp.run(nap());
  CHECK(woken == 0);
  told.reach();
  lp.run_until_idle();
  CHECK(woken == 1);
  lp.run(timeout(patience, wait_readable(child.pid_handle(), woken)));
  CHECK(woken == 2);
  CHECK(child.wait() == 0);
}

TEST_CASE("a wait for a handle is cancelled, and the handle can be waited for again") {
  const waitable w;
  const auto coroutine = [](sys::native_handle h) -> task<void> {
    const result<void> r = co_await as_result(timeout(1ms, readable(h)));
    CHECK(r.error() == errc::timed_out);
  };
  loop lp;
  lp.run(coroutine(w.native()));
  w.signal();
  int woken = 0;
  lp.run(timeout(patience, wait_readable(w.native(), woken)));
  CHECK(woken == 1);
}

TEST_CASE(
    "a coroutine that is destroyed while it waits for a handle is not resumed, and the handle can be closed") {
  waitable w;
  int woken = 0;
  loop lp;
  {
    scope waiting{lp};
    waiting.spawn(wait_readable(w.native(), woken));
    lp.run(nap());
  }
  w.signal();
  lp.run(nap());
  w.close();
  lp.run(nap());
  CHECK(woken == 0);
}

TEST_CASE("a handle that was closed is an error, not a wait") {
  loop lp;  // before: else it would be given the number of the closed handle
  waitable w;
  const sys::native_handle closed = w.native();
  w.close();
  const auto coroutine = [](sys::native_handle h) -> task<std::error_code> {
    const result<void> r = co_await as_result(timeout(patience, readable(h)));
    co_return r.error();
  };
  const std::error_code error = lp.run(coroutine(closed));
  CHECK(error);
  CHECK(error != errc::timed_out);
}

TEST_CASE("ping and pong over two handles, again and again, allocate nothing") {
  struct coroutines {
    static task<void> player(const waitable& own, const waitable& other, int rounds, bool serves) {
      if (serves) other.signal();
      for (int i = 0; i < rounds; ++i) {
        co_await readable(own.native());
        REQUIRE(own.take());
        if (!serves || i + 1 < rounds) other.signal();
      }
    }
  };
  const waitable a, b;
  loop lp;
  const auto play = [&](int rounds) {
    lp.spawn(coroutines::player(a, b, rounds, true));
    lp.spawn(coroutines::player(b, a, rounds, false));
    lp.run_until_idle();
  };
  play(10);
  const std::size_t before = test::allocations;
  play(slow_here ? 1'000 : 10'000);
  if (test::counts_allocations) CHECK(test::allocations - before == 2);
}

TEST_CASE(
    "rings of a bell that come together wake once, and a ring from another thread wakes a sleeping loop") {
  std::error_code error;
  sys::event_bell bell = sys::event_bell::create(error);
  REQUIRE_FALSE(error);
  bell.ring();
  bell.ring();
  const auto once = [](sys::event_bell& b) -> task<void> { co_await wait_for(b); };
  const auto again = [](sys::event_bell& b) -> task<bool> {
    const result<void> r = co_await as_result(timeout(1ms, wait_for(b)));
    co_return r.has_value();
  };
  loop lp;
  lp.run(once(bell));
  CHECK_FALSE(lp.run(again(bell)));
  std::thread other([&] { bell.ring(); });
  lp.run(once(bell));
  other.join();
}

TEST_CASE("a futex word that changes wakes a coroutine, where the loop can wait for one") {
  const shared_object<sys::futex_word> word;
  const auto wait = [](const sys::futex_word& w) -> task<std::error_code> {
    while (w.load(std::memory_order_acquire) == 0) {
      const result<void> r = co_await as_result(futex_changed(w, 0));
      if (!r) co_return r.error();
    }
    co_return std::error_code();
  };
  const auto cancelled = [](const sys::futex_word& w) -> task<std::error_code> {
    const result<void> r = co_await as_result(timeout(1ms, futex_changed(w, 0)));
    co_return r.error();
  };
  {
    loop lp;
    if (!lp.can_wait_on_futex()) {
      CHECK(lp.run(wait(*word)) == errc::not_supported);
    } else {
      CHECK(lp.run(cancelled(*word)) == errc::timed_out);
      std::thread other([&] {
        word->store(1, std::memory_order_release);
        sys::futex_wake(*word, 1, sys::futex_scope::shared);
      });
      CHECK_FALSE(lp.run(wait(*word)));
      other.join();
    }
    word->store(1, std::memory_order_release);
    CHECK_FALSE(lp.run(wait(*word)));
  }
}

}  // TEST_SUITE("readiness")
