// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/region.hpp>

#include <ringbell/errors.hpp>
#include <ringbell/sys/limit.hpp>

#include "sys/posix/pages.hpp"
#include "sys/posix/syscall.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <utility>

// There are no seals here. The peer gets a second descriptor that was opened only for reading: no
// process can use it to map the memory for writing, or to change its size. The descriptor for
// writing is closed before create() returns, and the name is removed before that. So our own memory
// is as safe as on Linux, provided that the kernel enforces read-only descriptors (`ringbell
// doctor` tests it).
//
// A peer's memory is not as safe: the peer may have kept a descriptor for writing. On macOS the
// size of shared memory cannot change once it is set, and map() accepts nothing else there.
// Elsewhere a hostile peer can shrink its region, and our next read of it then ends this process
// with SIGBUS. docs/platforms.md says so.

namespace ringbell::sys {

namespace {

constexpr int attempts = 100;

// A name that fits the limit of macOS (31 characters) and that only this process uses. So an
// existing one was left by a dead process with our process id, and is removed. That process was
// killed in the few microseconds in which the memory has a name. The memory is empty then, because
// its size is set later.
using shm_name = std::array<char, 32>;
shm_name next_name() noexcept {
  static std::atomic<unsigned> count{0};
  shm_name name;
  std::snprintf(name.data(), name.size(), "/ringbell-%lx-%x",
                static_cast<unsigned long>(::getpid()),
                count.fetch_add(1, std::memory_order_relaxed));
  return name;
}

struct descriptors {
  handle writing;
  handle reading;
};

descriptors create_shared_memory(std::error_code& error) noexcept {
  for (int i = 0; i < attempts; ++i) {
    const shm_name name = next_name();
    // The mode lets no process open it for writing, even while it has a name. The process that
    // creates it gets a writable descriptor all the same.
    handle writing(::shm_open(name.data(), O_RDWR | O_CREAT | O_EXCL, 0400));
    if (!writing && errno == EEXIST && ::shm_unlink(name.data()) == 0) continue;
    if (!writing) break;
    handle reading(::shm_open(name.data(), O_RDONLY, 0));
    error = reading ? std::error_code() : last_error();
    ::shm_unlink(name.data());
    return {std::move(writing), std::move(reading)};
  }
  error = last_error();
  return {};
}

// Whether `fd` is shared memory of the right size. On macOS shared memory is the only file without
// a type; elsewhere it looks like a regular file. On systems whose shared memory has seals, these
// distinguish it from files whose server may not answer.
bool is_shared_memory(native_handle fd, std::size_t size) noexcept {
#ifdef F_GET_SEALS
  if (::fcntl(fd, F_GET_SEALS) < 0) return false;
#endif
  struct stat file{};
  if (::fstat(fd, &file) != 0 || static_cast<std::uintmax_t>(file.st_size) != size) return false;
#ifdef __APPLE__
  return (file.st_mode & S_IFMT) == 0;
#else
  return S_ISREG(file.st_mode);
#endif
}

}  // namespace

region region::create(std::size_t bytes, std::error_code& error) noexcept {
  error.clear();
  const std::size_t size = whole_pages(bytes);
  if (size == 0) {
    error = std::make_error_code(std::errc::invalid_argument);
    return {};
  }
  if (!fits_file_limit(size)) {
    error = std::make_error_code(std::errc::file_too_large);
    return {};
  }
  descriptors fds = create_shared_memory(error);
  if (error) return {};
  // macOS refuses F_SETFD on shared memory, but closes it on exec anyway.
  (void)::fcntl(fds.reading.get(), F_SETFD, FD_CLOEXEC);
  if (::ftruncate(fds.writing.get(), static_cast<off_t>(size)) != 0) {
    error = last_error();
    return {};
  }
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fds.writing.get(), 0);
  if (memory == MAP_FAILED) {
    error = last_error();
    return {};
  }
  region made;
  made.handle_ = std::move(fds.reading);
  made.data_ = static_cast<std::byte*>(memory);
  made.size_ = size;
  return made;
}

peer_region peer_region::map(foreign_handle from_peer, std::size_t expected_bytes,
                             std::error_code& error) noexcept {
  error.clear();
  const std::size_t size = whole_pages(expected_bytes);
  if (size == 0 || !is_shared_memory(from_peer.get(), size)) {
    error = errc::bad_region;
    return {};
  }
  const handle shared = from_peer.trusted();
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, shared.get(), 0);
  if (memory == MAP_FAILED) {
    // EACCES, EPERM: the descriptor was opened for writing only. EBADF: it was opened for neither.
    error = errno == EACCES || errno == EPERM || errno == EBADF ? make_error_code(errc::bad_region)
                                                                : last_error();
    return {};
  }
  peer_region mapped;
  mapped.data_ = static_cast<const std::byte*>(memory);
  mapped.size_ = size;
  return mapped;
}

}  // namespace ringbell::sys
