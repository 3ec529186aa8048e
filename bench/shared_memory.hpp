// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/mman.h>
#include <cerrno>
#include <cstddef>
#include <new>
#include <system_error>
#include <utility>

namespace ringbell::bench {

/// Zeroed memory that this process shares with those that it forks, or the memory behind a
/// descriptor; its pages are there already.
class shared_memory {
public:
  explicit shared_memory(std::size_t bytes, int fd = -1)
      : bytes_(bytes),
        data_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_POPULATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0)) {
    if (data_ == MAP_FAILED)
      throw std::system_error(errno, std::generic_category(), "mapping shared memory");
  }
  shared_memory(const shared_memory&) = delete;
  shared_memory& operator=(const shared_memory&) = delete;
  ~shared_memory() { ::munmap(data_, bytes_); }
  std::byte* data() const noexcept { return static_cast<std::byte*>(data_); }

  template <class T>
  T& make(std::size_t offset = 0) const {
    return *::new (static_cast<void*>(data() + offset)) T();
  }

private:
  std::size_t bytes_;
  void* data_;
};

}  // namespace ringbell::bench
