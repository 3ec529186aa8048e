// SPDX-License-Identifier: BSL-1.0
// What of readiness only descriptors have, which can be written to, and whose other end hangs up.
#include <ringbell/loop.hpp>
#include <ringbell/readiness.hpp>
#include <ringbell/sleep.hpp>
#include <ringbell/sys/handle.hpp>

#include <doctest/doctest.h>

#include "support/descriptors.hpp"

#include <unistd.h>

#include <vector>

TEST_SUITE("readiness_socket") {

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

}  // TEST_SUITE("readiness_socket")
