// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/doorbell.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <ostream>
#include <utility>

#include "support/applies.hpp"

TEST_SUITE("sys_doorbell") {

using namespace ringbell;

namespace {

bool readable(const sys::doorbell& door) {
  pollfd p{door.native(), POLLIN, 0};
  return ::poll(&p, 1, 0) == 1;
}

/// The two sides of a connection, and the doorbell of one.
struct house {
  explicit house(bool with_event) {
    std::error_code error;
    auto ends = sys::local_socket::pair(error);
    REQUIRE_FALSE(error);
    inside = std::move(ends[0]);
    outside = std::move(ends[1]);
    if (with_event) bell = sys::event_bell::create(error);
    REQUIRE_FALSE(error);
    door = sys::doorbell::create(inside, bell, error);
    REQUIRE_FALSE(error);
  }
  sys::local_socket inside;
  sys::local_socket outside;
  sys::event_bell bell;
  sys::doorbell door;
};

}  // namespace

TEST_CASE("a doorbell is silent until it is rung, and after it was answered, by eventfd" *
          test::needs_eventfd) {
  house h(true);
  CHECK_FALSE(readable(h.door));
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(h.bell.ring());
    CHECK_FALSE(h.bell.ring());
    CHECK(readable(h.door));
    CHECK_FALSE(h.door.answer(h.inside));
    CHECK_FALSE(readable(h.door));
  }
}

TEST_CASE("a doorbell is silent until it is rung, and after the bytes were taken, by socket") {
  house h(false);
  CHECK_FALSE(readable(h.door));
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(h.outside.ring());
    CHECK_FALSE(h.outside.ring());
    CHECK(readable(h.door));
    CHECK_FALSE(h.door.answer(h.inside));
    CHECK_FALSE(readable(h.door));
  }
}

TEST_CASE("a doorbell tells of the peer's hang-up, whichever the bell" * test::needs_eventfd) {
  for (const bool with_event : {true, false}) {
    CAPTURE(with_event);
    house h(with_event);
    h.outside = sys::local_socket();
    CHECK(readable(h.door));
    CHECK(h.door.answer(h.inside));
  }
}

TEST_CASE("bytes on the control socket do not ring a doorbell whose bell is an eventfd" *
          test::needs_eventfd) {
  house h(true);
  CHECK_FALSE(h.outside.ring());
  CHECK_FALSE(readable(h.door));
}

TEST_CASE("who answers a doorbell cannot be made to block by a peer that changed the eventfd" *
          test::needs_eventfd) {
  house h(true);
  // What a peer with the same eventfd can do.
  REQUIRE(::fcntl(h.bell.native(), F_SETFL, 0) == 0);
  CHECK_FALSE(h.door.answer(h.inside));
  CHECK_FALSE(h.bell.ring());
  CHECK(readable(h.door));
  CHECK_FALSE(h.door.answer(h.inside));
  CHECK_FALSE(h.door.answer(h.inside));
}

TEST_CASE("a doorbell may be closed after what it watches" * test::needs_eventfd) {
  house h(true);
  h.bell = sys::event_bell();
  h.inside = sys::local_socket();
  CHECK_FALSE(h.door.answer(h.inside));
}

TEST_CASE("a doorbell cannot watch what is not there") {
  std::error_code error;
  sys::local_socket none;
  const sys::doorbell door = sys::doorbell::create(none, sys::event_bell(), error);
  CHECK(error == std::errc::bad_file_descriptor);
}

}  // TEST_SUITE("sys_doorbell")
