// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/local_socket.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <new>

namespace ringbell::sys {

namespace {

using process_id = std::atomic<std::uint64_t>;
static_assert(process_id::is_always_lock_free);

/// A word that is 0 again in every forked child, whichever call made the child: its page is wiped
/// there (Linux 4.14). Null when the kernel does not support that.
process_id* make_note() noexcept {
  constexpr std::size_t bytes = 4096;
  void* const page =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return nullptr;
  if (::madvise(page, bytes, MADV_WIPEONFORK) == 0) return new (page) process_id(0);
  ::munmap(page, bytes);
  return nullptr;
}

}  // namespace

// This is called several times for each connection that ends, to distinguish a forked child from
// its parent. A system call each time would be noticeable.
std::uint64_t current_process() noexcept {
  static process_id* const note = make_note();
  // relaxed: all threads that find it unset write the same value.
  if (note) {
    if (const std::uint64_t known = note->load(std::memory_order_relaxed)) return known;
  }
  const auto id = static_cast<std::uint64_t>(::getpid());
  if (note) note->store(id, std::memory_order_relaxed);
  return id;
}

}  // namespace ringbell::sys
