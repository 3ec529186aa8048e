// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/region.hpp>

#include <ringbell/errors.hpp>

#include "sys/windows/win32.hpp"

#include <cstdint>
#include <utility>

// A region is a section without a name, in the page file. Its handle has all rights and never
// leaves this process: a peer gets a duplicate that can be mapped only for reading
// (handle_transfer.cpp). The section's own list of rights grants nothing to any user, so such a
// duplicate cannot be turned into one that can be mapped for writing. An object without a list
// would allow that to everyone.
//
// A section cannot shrink, and its pages are committed when it is created. So, as on Linux, no read
// of a peer's memory ever faults, provided that it is a section of that kind; map() checks that.
// The committed memory counts against the system's limit from the beginning, but uses pages only as
// they are touched.

namespace ringbell::sys {

namespace {

struct section_information {  // SECTION_BASIC_INFORMATION
  void* base;
  ULONG attributes;
  LARGE_INTEGER size;
};
using query_section = LONG NTAPI(HANDLE, int, void*, SIZE_T, SIZE_T*);

// Rounds up to whole pages. Returns 0 when there is no such size.
std::size_t whole_pages(std::size_t bytes) noexcept {
  const std::size_t mask = page_size() - 1;
  if (bytes > static_cast<std::size_t>(PTRDIFF_MAX) - mask) return 0;
  return (bytes + mask) & ~mask;
}

// Whether this is committed memory of the page file: not a file, not a program, not only reserved
// memory (its pages would fault), not large pages.
bool safe_to_read(native_handle section, std::size_t size) noexcept {
  static query_section* const query = system_function<query_section>("NtQuerySection");
  section_information found{};
  return query && query(section, 0, &found, sizeof found, nullptr) == 0 &&
         found.attributes == SEC_COMMIT && static_cast<std::uint64_t>(found.size.QuadPart) == size;
}

void unmap(const std::byte* data) noexcept {
  if (data) ::UnmapViewOfFile(data);
}

}  // namespace

std::size_t page_size() noexcept {
  static const std::size_t size = [] {
    SYSTEM_INFO system;
    ::GetSystemInfo(&system);
    return static_cast<std::size_t>(system.dwPageSize);
  }();
  return size;
}

region region::create(std::size_t bytes, std::error_code& error) noexcept {
  error.clear();
  const std::uint64_t size = whole_pages(bytes);
  if (size == 0) {
    error = std::make_error_code(std::errc::invalid_argument);
    return {};
  }
  region made;
  SECURITY_ATTRIBUTES* const nobody = closed_to_all();
  if (!nobody) {
    error = std::make_error_code(std::errc::not_enough_memory);
    return {};
  }
  made.handle_ = handle(::CreateFileMappingW(INVALID_HANDLE_VALUE, nobody, PAGE_READWRITE,
                                             static_cast<DWORD>(size >> 32),
                                             static_cast<DWORD>(size), nullptr));
  if (made.handle_)
    made.data_ = static_cast<std::byte*>(
        ::MapViewOfFile(made.handle_.get(), FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0));
  if (!made.data_) {
    error = last_error();
    return {};
  }
  made.size_ = static_cast<std::size_t>(size);
  return made;
}

region::region(region&& other) noexcept
    : handle_(std::move(other.handle_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

region& region::operator=(region&& other) noexcept {
  if (this != &other) {
    unmap(data_);
    handle_ = std::move(other.handle_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

region::~region() { unmap(data_); }

peer_region peer_region::map(foreign_handle from_peer, std::size_t expected_bytes,
                             std::error_code& error) noexcept {
  error.clear();
  const std::size_t size = whole_pages(expected_bytes);
  if (size == 0 || !safe_to_read(from_peer.get(), size)) {
    error = errc::bad_region;
    return {};
  }
  peer_region mapped;
  mapped.data_ =
      static_cast<const std::byte*>(::MapViewOfFile(from_peer.get(), FILE_MAP_READ, 0, 0, size));
  if (!mapped.data_) {
    // ERROR_ACCESS_DENIED: the handle has no right to read.
    error =
        ::GetLastError() == ERROR_ACCESS_DENIED ? make_error_code(errc::bad_region) : last_error();
    return {};
  }
  mapped.size_ = size;
  return mapped;
}

peer_region::peer_region(peer_region&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

peer_region& peer_region::operator=(peer_region&& other) noexcept {
  if (this != &other) {
    unmap(data_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

peer_region::~peer_region() { unmap(data_); }

// There are two views, and their destructors unmap them.
void unmap(region, peer_region) noexcept {}

}  // namespace ringbell::sys
