// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/bell.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>

#include <ostream>
#include <string>

#include "support/system_objects.hpp"

TEST_SUITE("sys_bell") {

using namespace ringbell::sys;
using namespace ringbell::test;

namespace {

bool readable(native_handle h, int timeout_ms = 0) {
  pollfd p{h, POLLIN, 0};
  return ::poll(&p, 1, timeout_ms) == 1;
}

}  // namespace

TEST_CASE("a bell is silent until it is rung, and again once it is drained") {
  event_bell bell = make_bell();
  CHECK_FALSE(readable(bell.native()));
  CHECK_FALSE(bell.ring());
  CHECK(readable(bell.native()));
  bell.drain();
  CHECK_FALSE(readable(bell.native()));
}

TEST_CASE("several rings merge into one") {
  event_bell bell = make_bell();
  for (int i = 0; i < 5; ++i) CHECK_FALSE(bell.ring());
  bell.drain();
  CHECK_FALSE(readable(bell.native()));
}

TEST_CASE("draining a silent bell returns at once") {
  event_bell bell = make_bell();
  bell.drain();
  CHECK_FALSE(readable(bell.native()));
}

TEST_CASE("ringing no bell is an error, not a crash") {
  event_bell none;
  CHECK_FALSE(none);
  CHECK(none.ring() == std::errc::bad_file_descriptor);
  none.drain();
}

TEST_CASE("a bell is closed on exec") {
  const event_bell bell = make_bell();
  CHECK((::fcntl(bell.native(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("every kind of bell has a name and a bit of its own") {
  CHECK(std::string(name_of(bell_kind::eventfd)) == "eventfd");
  CHECK(std::string(name_of(bell_kind::socket)) == "socket");
  CHECK(std::string(name_of(bell_kind::futex)) == "futex");
  CHECK((bell_bit(bell_kind::eventfd) | bell_bit(bell_kind::socket) | bell_bit(bell_kind::futex)) ==
        7);
}

}  // TEST_SUITE("sys_bell")
