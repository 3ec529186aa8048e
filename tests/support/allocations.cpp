// SPDX-License-Identifier: BSL-1.0
#include "support/allocations.hpp"

#include <cstdlib>
#include <new>

#ifndef RINGBELL_UNDER_TSAN

namespace {

void* allocate(std::size_t size) noexcept {
  using namespace ringbell::test;
  ++allocations;
  if (allocations_left != unlimited && allocations_left-- <= 0) {
    allocations_left = 0;
    return nullptr;
  }
  return std::malloc(size ? size : 1);
}

}  // namespace

// Not inlined: g++ would take malloc and operator delete for a mismatched pair.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* p = allocate(size)) return p;
  throw std::bad_alloc();
}
// The default one calls the one above; that of a sanitizer's runtime does not.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  if (p) ++ringbell::test::deallocations;
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { operator delete(p); }

#endif
