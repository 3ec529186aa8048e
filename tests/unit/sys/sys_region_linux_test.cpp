// SPDX-License-Identifier: BSL-1.0
// Linux: what the seals of a region refuse to everybody, and what a peer's memory must be sealed
// against; futexes in it.
#include <ringbell/errors.hpp>
#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/region.hpp>

#include "support/patience.hpp"
#include "support/process.hpp"
#include "support/system_objects.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <cerrno>
#include <ostream>
#include <string>

TEST_SUITE("sys_region_linux") {

using namespace std::chrono_literals;
using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;

namespace {

constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

handle share(const region& r) {
  std::error_code error;
  return handle(::fcntl(r.shared_handle(), F_DUPFD_CLOEXEC, 0));
}

// What a peer that does not use this library could hand over.
handle forge(std::size_t bytes, int seals, unsigned flags = 0, bool allocate = true) {
  handle made(::memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
  if (!made) return made;
  REQUIRE(::ftruncate(made.get(), static_cast<off_t>(bytes)) == 0);
  if (allocate) REQUIRE(::fallocate(made.get(), 0, 0, static_cast<off_t>(bytes)) == 0);
  REQUIRE(::fcntl(made.get(), F_ADD_SEALS, seals) == 0);
  return made;
}

std::error_code map_error(handle h, std::size_t bytes) {
  std::error_code error;
  const peer_region mapped = peer_region::map(std::move(h), bytes, error);
  CHECK(static_cast<bool>(mapped) == !error);
  return error;
}

bool refused(long returned, int reason) { return returned < 0 && errno == reason; }

// Everything that somebody who has only the descriptor could try. Returns the number of the first
// attempt that was not refused.
int attack(int fd, std::size_t size) {
  const auto length = static_cast<off_t>(size);
  if (::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED) return 1;
  if (errno != EPERM) return 2;
  void* const readable = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (readable == MAP_FAILED) return 3;
  if (!refused(::mprotect(readable, size, PROT_READ | PROT_WRITE), EACCES)) return 4;
  if (::madvise(readable, size, MADV_REMOVE) == 0) return 5;
  if (!refused(::pwrite(fd, "x", 1, 0), EPERM)) return 6;
  if (!refused(::ftruncate(fd, 0), EPERM)) return 7;
  if (!refused(::ftruncate(fd, length * 2), EPERM)) return 8;
  if (!refused(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, length), EPERM))
    return 9;
  if (!refused(::fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, length), EOPNOTSUPP)) return 10;
  if (!refused(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM)) return 11;

  // A new open file description gets no further than the old one.
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const int again = ::open(link.c_str(), O_RDWR | O_CLOEXEC);
  if (again >= 0) {
    if (::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) != MAP_FAILED)
      return 12;
    if (!refused(::pwrite(again, "x", 1, 0), EPERM)) return 13;
    if (!refused(::ftruncate(again, 0), EPERM)) return 14;
  }
  const int truncating = ::open(link.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC);
  if (truncating >= 0) return 15;

  // A private mapping may be written, but the region does not see it.
  auto* const copy =
      static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
  if (copy == MAP_FAILED) return 16;
  copy[0] = 'x';
  return static_cast<const char*>(readable)[0] == 'x' ? 17 : 0;
}

}  // namespace

TEST_CASE(
    "a region carries all four seals, also what was sent of it when its own handle is closed") {
  region r = make_region(4096);
  CHECK((::fcntl(r.shared_handle(), F_GET_SEALS) & all_seals) == all_seals);
  const handle sent = share(r);
  r.close_handle();
  CHECK((::fcntl(sent.get(), F_GET_SEALS) & all_seals) == all_seals);
}

TEST_CASE("another process with the descriptor cannot write, resize or unseal the region") {
  const region r = make_region(4 * page_size());
  CHECK(run_in_child([&] { return attack(r.shared_handle(), r.size()); }) == 0);
  CHECK(r.data()[0] == std::byte{});
}

TEST_CASE("the owner itself cannot get a second writable mapping, or punch a hole") {
  const region r = make_region(4 * page_size());
  CHECK(attack(r.shared_handle(), r.size()) == 0);
  CHECK(refused(::madvise(r.data(), r.size(), MADV_REMOVE), EPERM));
}

TEST_CASE("a waiter on a read-only mapping is woken by the owner in another process") {
  const region r = make_region(4096);
  const auto& word = *reinterpret_cast<const futex_word*>(r.data());
  const pid_t child = start_child([&] {
    std::error_code error;
    const peer_region peer = peer_region::map(share(r), 4096, error);
    if (error) return 1;
    const auto& theirs = *reinterpret_cast<const futex_word*>(peer.data());
    return futex_wait(theirs, 0, futex_scope::shared, std::chrono::steady_clock::now() + patience)
               ? 2
               : 0;
  });
  CHECK(eventually([&] { return futex_wake(word, 1, futex_scope::shared) == 1; }));
  CHECK(wait_for(child) == 0);
}

TEST_CASE("an empty sealed memfd is bad_region, whatever was announced") {
  CHECK(map_error(forge(0, all_seals, 0, false), 0) == errc::bad_region);
  CHECK(map_error(forge(0, all_seals, 0, false), 1) == errc::bad_region);
}

TEST_CASE("a memfd that lacks one seal is bad_region") {
  REQUIRE_FALSE(map_error(forge(4096, all_seals), 4096));
  CHECK(map_error(forge(4096, 0), 4096) == errc::bad_region);
  for (const int missing : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL}) {
    CAPTURE(missing);
    CHECK(map_error(forge(4096, all_seals & ~missing), 4096) == errc::bad_region);
  }
}

TEST_CASE("seals beyond the four do not matter") {
  CHECK_FALSE(map_error(forge(4096, all_seals | F_SEAL_WRITE), 4096));
}

TEST_CASE("a sealed memfd on huge pages is bad_region") {
  constexpr std::size_t huge = 2 << 20;
  handle forged = forge(huge, all_seals, MFD_HUGETLB, false);
  if (!forged) {
    MESSAGE("skipped: this kernel has no huge pages");
    return;
  }
  // Where the system has one to give, nothing else is wrong with it.
  (void)::fallocate(forged.get(), 0, 0, huge);
  CHECK(map_error(std::move(forged), huge) == errc::bad_region);
}

TEST_CASE("a memfd that was reopened for writing only is bad_region") {
  const handle forged = forge(4096, 0);
  handle write_only(
      ::open(("/proc/self/fd/" + std::to_string(forged.get())).c_str(), O_WRONLY | O_CLOEXEC));
  REQUIRE(write_only);
  REQUIRE(::fcntl(forged.get(), F_ADD_SEALS, all_seals) == 0);
  CHECK(map_error(std::move(write_only), 4096) == errc::bad_region);
}

TEST_CASE("what is no memfd is bad_region") {
  const temporary_folder folder;
  const std::string path = folder / "file";
  handle file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(::ftruncate(file.get(), 4096) == 0);
  CHECK(map_error(handle(::open(path.c_str(), O_PATH | O_CLOEXEC)), 4096) == errc::bad_region);
  CHECK(map_error(std::move(file), 4096) == errc::bad_region);
  CHECK(map_error(handle(::open("/dev/zero", O_RDWR | O_CLOEXEC)), 4096) == errc::bad_region);
  CHECK(map_error(handle(::eventfd(0, EFD_CLOEXEC)), 4096) == errc::bad_region);
  CHECK(map_error(handle(), 4096) == errc::bad_region);
}

TEST_CASE("a file in shared memory is bad_region: it cannot be sealed") {
  const std::string path = "/dev/shm/ringbell-test-" + std::to_string(::getpid());
  handle file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) {
    MESSAGE("skipped: no /dev/shm");
    return;
  }
  ::unlink(path.c_str());
  REQUIRE(::ftruncate(file.get(), 4096) == 0);
  REQUIRE(::fallocate(file.get(), 0, 0, 4096) == 0);
  CHECK(map_error(std::move(file), 4096) == errc::bad_region);
}

}  // TEST_SUITE("sys_region_linux")
