// SPDX-License-Identifier: BSL-1.0
// Linux: what bells are, that are eventfds, and what is none.
#include <ringbell/sys/bell.hpp>

#include "support/process.hpp"
#include "support/system_objects.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include <cstdint>
#include <ostream>

TEST_SUITE("sys_eventfd") {

using namespace ringbell::sys;
using namespace ringbell::test;

namespace {

bool readable(native_handle h, int timeout_ms = 0) {
  pollfd p{h, POLLIN, 0};
  return ::poll(&p, 1, timeout_ms) == 1;
}

}  // namespace

TEST_CASE("ringing a full counter succeeds at once") {
  event_bell bell = make_bell();
  const std::uint64_t full = ~std::uint64_t{0} - 1;
  REQUIRE(::write(bell.native(), &full, sizeof full) == sizeof full);
  CHECK_FALSE(bell.ring());
  bell.drain();
  CHECK_FALSE(readable(bell.native()));
}

TEST_CASE("a bell does not block") {
  const event_bell bell = make_bell();
  CHECK((::fcntl(bell.native(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("a bell rung in another process wakes its sleeper") {
  const event_bell bell = make_bell();
  const pid_t child =
      start_child([&] { return event_bell(handle(::dup(bell.native()))).ring() ? 1 : 0; });
  CHECK(readable(bell.native(), 60'000));
  CHECK(wait_for(child) == 0);
}

TEST_CASE("an eventfd is an event, nothing else is") {
  CHECK(event_bell::is_event(make_bell().native()));
  int pipe_ends[2];
  REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
  const handle others[] = {
      handle(pipe_ends[0]),
      handle(pipe_ends[1]),
      handle(::open("/dev/null", O_RDWR | O_CLOEXEC)),
      handle(::memfd_create("anon_inode:[eventfd]", MFD_CLOEXEC)),
      handle(::epoll_create1(EPOLL_CLOEXEC)),
      handle(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)),
      handle(),
  };
  for (const handle& other : others) CHECK_FALSE(event_bell::is_event(other.get()));
}

TEST_CASE("a file named like an eventfd is not taken for one") {
  const temporary_folder folder;
  const handle file(
      ::open((folder / "anon_inode:[eventfd]").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(file);
  CHECK_FALSE(event_bell::is_event(file.get()));
}

TEST_CASE("asking whether it is an event does not ring it") {
  const event_bell bell = make_bell();
  CHECK(event_bell::is_event(bell.native()));
  CHECK_FALSE(readable(bell.native()));
}

}  // TEST_SUITE("sys_eventfd")
