// SPDX-License-Identifier: BSL-1.0
#pragma once

// Counts what the program allocates. Replaces the global operator new: to be included by one source file of a program.
// ThreadSanitizer has its own that cannot be replaced: then nothing is counted, and `counts_allocations` says so.

#include <ringbell/detail/park_fence.hpp>  // RINGBELL_UNDER_TSAN

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace test {

#ifdef RINGBELL_UNDER_TSAN
inline constexpr bool counts_allocations = false;
#else
inline constexpr bool counts_allocations = true;
#endif

inline std::atomic<std::size_t> allocations{0};
inline std::atomic<std::size_t> deallocations{0};

inline std::size_t outstanding() noexcept { return allocations - deallocations; }

}  // namespace test

#ifndef RINGBELL_UNDER_TSAN
// Not inlined: g++ would take malloc and operator delete for a mismatched pair.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++test::allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] // The default one calls the one above; that of a sanitizer's runtime does not.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++test::allocations;
  return std::malloc(size);
}
void operator delete(void* p) noexcept {
  if (p) ++test::deallocations;
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { operator delete(p); }
#endif
