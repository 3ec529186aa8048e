// SPDX-License-Identifier: BSL-1.0
#include <ringbell/as_result.hpp>
#include <ringbell/loop.hpp>
#include <ringbell/readiness.hpp>
#include <ringbell/scope.hpp>
#include <ringbell/sleep.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/timeout.hpp>
#include <ringbell/when_all.hpp>

#include <doctest/doctest.h>

#include "support/allocation_counter.hpp"
#include "support/descriptors.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <array>
#include <string>
#include <thread>
#include <vector>

using namespace ringbell;
using namespace std::chrono_literals;

namespace {

struct socket_pair {
  socket_pair() {
    int fds[2] = {-1, -1};
    REQUIRE(ringbell::test::socket_pair_closed_on_exec(fds) == 0);
    ringbell::test::do_not_block(fds);
    a = sys::handle(fds[0]);
    b = sys::handle(fds[1]);
  }
  sys::handle a, b;
};

void send_byte(const sys::handle& h) { REQUIRE(::write(h.get(), "x", 1) == 1); }
void take_byte(const sys::handle& h) {
  char c;
  REQUIRE(::read(h.get(), &c, 1) == 1);
}
void fill(const sys::handle& h) {
  const std::vector<char> block(64 << 10);
  while (::write(h.get(), block.data(), block.size()) > 0) {}
}
void empty(const sys::handle& h) {
  std::vector<char> block(64 << 10);
  while (::read(h.get(), block.data(), block.size()) > 0) {}
}

task<void> wait_readable(sys::native_handle h, int& woken) {
  co_await readable(h);
  ++woken;
}
task<void> wait_writable(sys::native_handle h, int& woken) {
  co_await writable(h);
  ++woken;
}
task<void> nap() { co_await sleep_for(1ms); }

}  // namespace

TEST_CASE("readable waits until there is something to read") {
  socket_pair s;
  int woken = 0;
  loop lp;
  lp.spawn(wait_readable(s.a.get(), woken));
  lp.run(nap());
  CHECK(woken == 0);
  send_byte(s.b);
  lp.run_until_idle();
  CHECK(woken == 1);
}

TEST_CASE("readable does not wait when there is something already") {
  socket_pair s;
  int woken = 0;
  send_byte(s.b);
  loop lp;
  lp.run(timeout(10s, wait_readable(s.a.get(), woken)));
  lp.run(timeout(10s, wait_readable(s.a.get(), woken)));
  CHECK(woken == 2);
}

TEST_CASE("readable ends when the other end hangs up") {
  socket_pair s;
  int woken = 0;
  loop lp;
  lp.spawn(wait_readable(s.a.get(), woken));
  lp.run(nap());
  s.b.reset();
  lp.run_until_idle();
  CHECK(woken == 1);
}

TEST_CASE("writable waits while the buffer is full, beside a reader of the same handle") {
  socket_pair s;
  fill(s.a);
  int readers = 0, writers = 0;
  loop lp;
  lp.spawn(wait_readable(s.a.get(), readers));
  lp.spawn(wait_writable(s.a.get(), writers));
  lp.run(nap());
  CHECK(readers == 0);
  CHECK(writers == 0);
  empty(s.b);
  while (writers == 0) lp.run(nap());
  CHECK(readers == 0);
  send_byte(s.b);
  lp.run_until_idle();
  CHECK(readers == 1);
}

TEST_CASE("a wait for a handle is cancelled, and the handle can be waited for again") {
  socket_pair s;
  const auto coroutine = [](sys::native_handle h) -> task<void> {
    const result<void> r = co_await as_result(timeout(1ms, readable(h)));
    CHECK(r.error() == errc::timed_out);
  };
  loop lp;
  lp.run(coroutine(s.a.get()));
  send_byte(s.b);
  int woken = 0;
  lp.run(timeout(10s, wait_readable(s.a.get(), woken)));
  CHECK(woken == 1);
}

TEST_CASE("a coroutine that is destroyed while it waits for a handle is not resumed, and the handle can be closed") {
  socket_pair s;
  int woken = 0;
  loop lp;
  {
    scope waiting{lp};
    waiting.spawn(wait_readable(s.a.get(), woken));
    lp.run(nap());
  }
  send_byte(s.b);
  lp.run(nap());
  s.a.reset();
  lp.run(nap());
  CHECK(woken == 0);
}

TEST_CASE("a handle that was closed is an error, not a wait") {
  loop lp;  // before: else it would be given the number of the closed handle
  int closed;
  {
    socket_pair s;
    closed = s.a.get();
  }
  const auto coroutine = [](int h) -> task<std::error_code> {
    const result<void> r = co_await as_result(timeout(10s, readable(h)));
    co_return r.error();
  };
  const std::error_code error = lp.run(coroutine(closed));
  CHECK(error);
  CHECK(error != errc::timed_out);
}

TEST_CASE("ping and pong over two handles, ten thousand times, allocate nothing") {
  struct coroutines {
    static task<void> player(const sys::handle& h, int rounds, bool serves) {
      if (serves) send_byte(h);
      for (int i = 0; i < rounds; ++i) {
        co_await readable(h.get());
        take_byte(h);
        if (!serves || i + 1 < rounds) send_byte(h);
      }
    }
  };
  socket_pair s;
  loop lp;
  const auto play = [&](int rounds) {
    lp.spawn(coroutines::player(s.a, rounds, true));
    lp.spawn(coroutines::player(s.b, rounds, false));
    lp.run_until_idle();
  };
  play(10);
  const std::size_t before = ::test::allocations;
  play(10000);
  if (::test::counts_allocations) CHECK(::test::allocations - before == 2);
}

TEST_CASE("rings of a bell that come together wake once, and a ring from another thread wakes a sleeping loop") {
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
  auto* const word = static_cast<sys::futex_word*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  REQUIRE(static_cast<void*>(word) != MAP_FAILED);
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
  ::munmap(word, 4096);
}
