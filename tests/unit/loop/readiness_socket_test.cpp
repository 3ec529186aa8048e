// SPDX-License-Identifier: BSL-1.0
// What of readiness only descriptors have, which can be written to, and whose other end hangs up.
#include <ringbell/coro/sleep.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/sys/handle.hpp>

#include <doctest/doctest.h>

#include "support/descriptors.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>

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

TEST_CASE("writable ends when nobody is left to read, and the write says so") {
  for (const bool before : {false, true}) {
    CAPTURE(before);
    int fds[2] = {-1, -1};
    REQUIRE(ringbell::test::pipe_closed_on_exec(fds) == 0);
    ringbell::test::do_not_block(fds);
    sys::handle reader(fds[0]);
    const sys::handle writer(fds[1]);
    fill(writer);
    int woken = 0;
    loop lp;
    if (before) reader.reset();
    lp.spawn(wait_writable(writer.get(), woken));
    lp.run(nap());
    CHECK(woken == (before ? 1 : 0));
    reader.reset();
    lp.run_until_idle();
    CHECK(woken == 1);
    const auto handler = ::signal(SIGPIPE, SIG_IGN);
    CHECK(::write(writer.get(), "x", 1) < 0);
    CHECK(errno == EPIPE);
    ::signal(SIGPIPE, handler);
  }
}

TEST_CASE("readable ends when an error waits to be read") {
  // A datagram to a port at which nobody listens comes back as an error.
  const sys::handle socket(::socket(AF_INET, SOCK_DGRAM, 0));
  sys::handle listening(::socket(AF_INET, SOCK_DGRAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listening.get(), generic, sizeof address) != 0) {
    MESSAGE("skipped: no loopback network");
    return;
  }
  REQUIRE(::getsockname(listening.get(), generic, &size) == 0);
  REQUIRE(::connect(socket.get(), generic, sizeof address) == 0);
  int woken = 0;
  loop lp;
  lp.spawn(wait_readable(socket.get(), woken));
  lp.run(nap());
  CHECK(woken == 0);
  listening.reset();
  REQUIRE(::send(socket.get(), "x", 1, 0) == 1);
  lp.run_until_idle();
  CHECK(woken == 1);
  char byte;
  CHECK(::recv(socket.get(), &byte, 1, MSG_DONTWAIT) < 0);
  CHECK(errno == ECONNREFUSED);
}

}  // TEST_SUITE("readiness_socket")
