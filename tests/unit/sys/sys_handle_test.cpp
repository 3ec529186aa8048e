// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/handle.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <ostream>

TEST_SUITE("sys_handle") {

using ringbell::sys::handle;

namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
handle some_handle() { return handle(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

TEST_CASE("destruction closes the handle") {
  int fd;
  {
    const handle h = some_handle();
    REQUIRE(h);
    fd = h.get();
    CHECK(is_open(fd));
  }
  CHECK_FALSE(is_open(fd));
}

TEST_CASE("an empty handle owns nothing and may be reset") {
  handle h;
  CHECK_FALSE(h);
  h.reset();
  CHECK(h.get() == ringbell::sys::invalid_handle);
}

TEST_CASE("moving hands the handle over and closes what the target had") {
  handle from = some_handle();
  handle to = some_handle();
  const int moved = from.get();
  const int replaced = to.get();
  to = std::move(from);
  CHECK(to.get() == moved);
  CHECK_FALSE(from);
  CHECK(is_open(moved));
  CHECK_FALSE(is_open(replaced));
}

TEST_CASE("moving a handle to itself keeps it") {
  handle h = some_handle();
  handle& same = h;
  h = std::move(same);
  CHECK(is_open(h.get()));
}

TEST_CASE("a released handle stays open") {
  handle h = some_handle();
  const int fd = h.release();
  CHECK_FALSE(h);
  CHECK(is_open(fd));
  ::close(fd);
}

TEST_CASE("a duplicate is another handle to the same object, closed on exec") {
  const handle h = some_handle();
  std::error_code error = std::make_error_code(std::errc::io_error);
  const handle copy = h.duplicate(error);
  CHECK_FALSE(error);
  REQUIRE(copy);
  CHECK(copy.get() != h.get());
  CHECK((::fcntl(copy.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("duplicating nothing is an error") {
  std::error_code error;
  const handle copy = handle().duplicate(error);
  CHECK(error == std::errc::bad_file_descriptor);
  CHECK_FALSE(copy);
}

}  // TEST_SUITE("sys_handle")
