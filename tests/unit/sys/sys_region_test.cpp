// SPDX-License-Identifier: BSL-1.0
#include <ringbell/errors.hpp>
#include <ringbell/sys/region.hpp>

#include "support/applies.hpp"
#include "support/process.hpp"
#include "support/system_objects.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <ostream>
#include <string>
#include <utility>

TEST_SUITE("sys_region") {

using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;

namespace {

handle share(const region& r) {
  std::error_code error;
  return handle(::fcntl(r.shared_handle(), F_DUPFD_CLOEXEC, 0));
}

std::error_code map_error(handle h, std::size_t bytes) {
  std::error_code error;
  const peer_region mapped = peer_region::map(std::move(h), bytes, error);
  CHECK(static_cast<bool>(mapped) == !error);
  return error;
}

}  // namespace

TEST_CASE("a region is zeroed, writable memory of whole pages") {
  region r = make_region(1);
  CHECK(r.size() == page_size());
  CHECK(std::all_of(r.data(), r.data() + r.size(), [](std::byte b) { return b == std::byte{}; }));
  r.data()[r.size() - 1] = std::byte{1};
  CHECK(make_region(page_size()).size() == page_size());
  CHECK(make_region(page_size() + 1).size() == 2 * page_size());
}

TEST_CASE("a region of no bytes, or of more than there are addresses, is refused") {
  std::error_code error;
  CHECK_FALSE(region::create(0, error));
  CHECK(error == std::errc::invalid_argument);
  CHECK_FALSE(region::create(~std::size_t{0}, error));
  CHECK(error == std::errc::invalid_argument);
}

TEST_CASE("a region that cannot be created leaves no descriptor behind" * needs_memory_file) {
  CHECK(run_in_child([] {
          const int before = open_descriptors();
          std::error_code error;
          // Not even the file may be so large.
          const rlimit limit{4096, 4096};
          ::setrlimit(RLIMIT_FSIZE, &limit);
          ::signal(SIGXFSZ, SIG_IGN);
          if (region::create(8192, error) || !error) return 1;
          return open_descriptors() == before ? 0 : 2;
        }) == 0);
}

TEST_CASE("a region takes memory only for the pages that were written" * needs_memory_file) {
  const region r = make_region(16 * page_size());
  r.data()[0] = std::byte{1};
  struct stat file{};
  REQUIRE(::fstat(r.shared_handle(), &file) == 0);
  CHECK(static_cast<std::size_t>(file.st_blocks) * 512 == page_size());
}

TEST_CASE("a region's handle is closed on exec") {
  const region r = make_region(4096);
  CHECK((::fcntl(r.shared_handle(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a region leaves no mapping and no descriptor behind") {
  const int before = open_descriptors();
  {
    region a = make_region(4096);
    region b = std::move(a);
    CHECK_FALSE(a);
    CHECK(a.size() == 0);
    b.data()[0] = std::byte{1};
    a = std::move(b);
    CHECK(a.data()[0] == std::byte{1});
    a = make_region(2 * page_size());
    CHECK(a.size() == 2 * page_size());
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE(
    "a region whose handle is closed costs no descriptor, stays mapped, and can still be mapped by who was sent it") {
  const int before = open_descriptors();
  region r = make_region(page_size());
  handle sent = share(r);
  r.close_handle();
  r.close_handle();
  CHECK(r.shared_handle() == invalid_handle);
  r.data()[0] = std::byte{7};
  std::error_code error;
  const peer_region peer = peer_region::map(std::move(sent), page_size(), error);
  REQUIRE(peer);
  CHECK(peer.data()[0] == std::byte{7});
  CHECK(open_descriptors() == before);
}

namespace {

bool mapped(const void* page) {
  return ::msync(const_cast<void*>(page), page_size(), MS_ASYNC) == 0;
}

}  // namespace

TEST_CASE(
    "an own region and a peer's are unmapped together, wherever they lie and whichever is there") {
  for (const bool apart : {false, true}) {
    CAPTURE(apart);
    for (const bool peer_first : {false, true}) {
      CAPTURE(peer_first);
      std::error_code error;
      region others = make_region(page_size());
      region own;
      region between;
      if (!peer_first) own = make_region(2 * page_size());
      if (!peer_first && apart) between = make_region(page_size());
      peer_region peer = peer_region::map(share(others), page_size(), error);
      REQUIRE(peer);
      if (peer_first && apart) between = make_region(page_size());
      if (peer_first) own = make_region(2 * page_size());
      const void* const was_own = own.data();
      const void* const was_peer = peer.data();
      unmap(std::move(own), std::move(peer));
      CHECK_FALSE(mapped(was_own));
      CHECK_FALSE(mapped(was_peer));
      CHECK(mapped(others.data()));
      if (apart) CHECK(mapped(between.data()));
    }
  }
  region alone = make_region(page_size());
  const void* const was_alone = alone.data();
  unmap(std::move(alone), {});
  CHECK_FALSE(mapped(was_alone));
  unmap({}, {});
}

TEST_CASE(
    "who has the handle can neither map it for writing, nor write to it, nor change its size") {
  const region r = make_region(4 * page_size());
  const int fd = r.shared_handle();
  CHECK(::mmap(nullptr, r.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  void* const readable = ::mmap(nullptr, r.size(), PROT_READ, MAP_SHARED, fd, 0);
  REQUIRE(readable != MAP_FAILED);
  CHECK(::mprotect(readable, r.size(), PROT_READ | PROT_WRITE) != 0);
  CHECK(::munmap(readable, r.size()) == 0);
  CHECK(::pwrite(fd, "x", 1, 0) < 0);
  CHECK(::ftruncate(fd, 0) != 0);
  CHECK(::ftruncate(fd, static_cast<off_t>(r.size()) * 2) != 0);
  CHECK(r.data()[0] == std::byte{});
}

TEST_CASE("a peer in another process sees what the owner writes, when it is written") {
  const region r = make_region(4096);
  const milestone mapped;
  const milestone written;
  const pid_t child = start_child([&] {
    std::error_code error;
    const peer_region peer = peer_region::map(share(r), page_size(), error);
    if (error || peer.size() != page_size() || peer.data()[9] != std::byte{0}) return 1;
    mapped.reach();
    written.wait();
    return peer.data()[9] == std::byte{42} ? 0 : 2;
  });
  mapped.wait();
  r.data()[9] = std::byte{42};
  written.reach();
  CHECK(wait_for(child) == 0);
}

TEST_CASE("a peer's mapping outlives the owner's") {
  std::error_code error;
  peer_region peer;
  {
    region r = make_region(4096);
    r.data()[0] = std::byte{5};
    peer = peer_region::map(share(r), 4096, error);
  }
  REQUIRE(peer);
  peer_region moved = std::move(peer);
  CHECK_FALSE(peer);
  CHECK(moved.data()[0] == std::byte{5});
}

TEST_CASE("mapping takes the handle, whether it succeeds or fails") {
  const region r = make_region(4096);
  const int before = open_descriptors();
  CHECK_FALSE(map_error(share(r), 4096));
  CHECK(map_error(share(r), 2 * page_size()) == errc::bad_region);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a region of another size than announced is bad_region") {
  const region r = make_region(3 * page_size());
  CHECK_FALSE(map_error(share(r), 3 * page_size()));
  CHECK_FALSE(map_error(share(r), 2 * page_size() + 1));
  for (const std::size_t wrong :
       {std::size_t{0}, std::size_t{1}, 2 * page_size(), 4 * page_size(), ~std::size_t{0}}) {
    CAPTURE(wrong);
    CHECK(map_error(share(r), wrong) == errc::bad_region);
  }
}

TEST_CASE("what is no memory is bad_region") {
  int ends[2];
  REQUIRE(pipe_closed_on_exec(ends) == 0);
  const handle writing(ends[1]);
  CHECK(map_error(handle(ends[0]), 4096) == errc::bad_region);
  CHECK(map_error(handle(::open("/dev/zero", O_RDWR | O_CLOEXEC)), 4096) == errc::bad_region);
  CHECK(map_error(handle(), 4096) == errc::bad_region);
}

}  // TEST_SUITE("sys_region")
