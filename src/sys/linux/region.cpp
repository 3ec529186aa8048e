// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/region.hpp>

#include <ringbell/errors.hpp>
#include <ringbell/sys/limit.hpp>

#include "sys/posix/pages.hpp"
#include "sys/posix/syscall.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

// Some systems have headers that are older than their kernel, and lack these.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace ringbell::sys {

namespace {

// FUTURE_WRITE is used, not WRITE, because the owner keeps its writable mapping, and the kernel
// refuses WRITE while there is one. So no usable region is sealed with WRITE alone, and `map` need
// not accept it.
constexpr int required_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

int create_memfd() noexcept {
  // MFD_NOEXEC_SEAL is tried first because a system with vm.memfd_noexec=2 accepts nothing else. A
  // kernel before 6.3 does not know it.
  const int fd = ::memfd_create("ringbell", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  return fd >= 0 || errno != EINVAL ? fd
                                    : ::memfd_create("ringbell", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

// The first page is touched at once, and populating it costs less than the page fault would. Before
// Linux 5.14 this fails, and the page fault happens.
void fetch_first_page(void* memory, int advice) noexcept {
  (void)::madvise(memory, page_size(), advice);
}

// Whether every byte of this memory is readable, now and later. The seals are checked first. With
// them in place the size cannot change between these checks and the mapping. And memory that has
// seals is the kernel's own, so fstat and close do not wait for another process.
bool safe_to_read(native_handle fd, std::size_t size) noexcept {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & required_seals) != required_seals) return false;

  // hugetlbfs has seals too, but there a page fault fails when the pool of huge pages is empty.
  struct statfs file_system{};
  if (::fstatfs(fd, &file_system) != 0 || file_system.f_type != TMPFS_MAGIC) return false;

  struct stat file{};
  return ::fstat(fd, &file) == 0 && static_cast<std::uintmax_t>(file.st_size) == size;
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

  region made;
  made.handle_ = handle(create_memfd());
  if (!made.handle_) {
    error =
        errno == EINVAL || errno == ENOSYS ? make_error_code(errc::not_supported) : last_error();
    return {};
  }
  const native_handle fd = made.handle_.get();

  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) {
    error = last_error();
    return {};
  }

  // The memory is mapped before it is sealed: no later writable mapping is possible.
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    error = last_error();
    return {};
  }
  fetch_first_page(memory, MADV_POPULATE_WRITE);
  made.data_ = static_cast<std::byte*>(memory);
  made.size_ = size;

  if (::fcntl(fd, F_ADD_SEALS, required_seals) != 0) {
    error = errno == EINVAL ? make_error_code(errc::not_supported) : last_error();
    return {};
  }
  return made;
}

peer_region peer_region::map(foreign_handle from_peer, std::size_t expected_bytes,
                             std::error_code& error) noexcept {
  error.clear();
  const std::size_t size = whole_pages(expected_bytes);
  if (size == 0 || !safe_to_read(from_peer.get(), size)) {
    error = errc::bad_region;
    return {};
  }

  const handle sealed = from_peer.trusted();
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, sealed.get(), 0);
  if (memory == MAP_FAILED) {
    // EACCES: the peer sent a descriptor that was opened for writing only.
    error = errno == EACCES ? make_error_code(errc::bad_region) : last_error();
    return {};
  }
  fetch_first_page(memory, MADV_POPULATE_READ);
  peer_region mapped;
  mapped.data_ = static_cast<const std::byte*>(memory);
  mapped.size_ = size;
  return mapped;
}

}  // namespace ringbell::sys
