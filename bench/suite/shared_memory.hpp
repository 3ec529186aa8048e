// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/mman.h>
#include <cerrno>
#include <cstddef>
#include <new>
#include <system_error>
#include <utility>

namespace ringbell::bench {

/// Zeroed memory that this process shares with those that it forks; its pages are there already.
class shared_memory {
public:
  explicit shared_memory(std::size_t bytes) : bytes_(bytes), data_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0)) {
    if (data_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mapping shared memory");
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
  static constexpr int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE;
  std::size_t bytes_;
  void* data_;
};

}  // namespace ringbell::bench
