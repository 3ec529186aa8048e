// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// Memory for handlers that have no allocator of their own. As Asio does for its operations, each
/// thread keeps the last blocks that it has freed.
void* allocate_recycled(std::size_t bytes);
void free_recycled(void* memory, std::size_t bytes) noexcept;

/// Memory from a handler's allocator, in units that are aligned for any type.
template <class Allocator>
struct handler_memory {
  using units = typename std::allocator_traits<Allocator>::template rebind_alloc<std::max_align_t>;
  static constexpr std::size_t count(std::size_t bytes) noexcept {
    return (bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t);
  }
  static void* allocate(const Allocator& allocator, std::size_t bytes) {
    units all(allocator);
    return std::allocator_traits<units>::allocate(all, count(bytes));
  }
  static void free(const Allocator& allocator, void* memory, std::size_t bytes) noexcept {
    units all(allocator);
    std::allocator_traits<units>::deallocate(all, static_cast<std::max_align_t*>(memory),
                                             count(bytes));
  }
};
template <class T>
struct handler_memory<std::allocator<T>> {
  static void* allocate(const std::allocator<T>&, std::size_t bytes) {
    return allocate_recycled(bytes);
  }
  static void free(const std::allocator<T>&, void* memory, std::size_t bytes) noexcept {
    free_recycled(memory, bytes);
  }
};

/// Memory for one `T`. The destructor frees it, unless it was released.
template <class T, class Allocator>
class memory_for {
public:
  explicit memory_for(const Allocator& allocator)
      : allocator_(allocator), memory_(handler_memory<Allocator>::allocate(allocator, sizeof(T))) {}
  memory_for(const Allocator& allocator, void* memory) noexcept
      : allocator_(allocator), memory_(memory) {}
  memory_for(const memory_for&) = delete;
  memory_for& operator=(const memory_for&) = delete;
  ~memory_for() {
    if (memory_) handler_memory<Allocator>::free(allocator_, memory_, sizeof(T));
  }
  void* get() const noexcept { return memory_; }
  void release() noexcept { memory_ = nullptr; }

private:
  Allocator allocator_;
  void* memory_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
