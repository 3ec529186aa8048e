// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace ringbell::test {

/// What this process has of malloc, with what malloc itself needs for each block; 0 where nobody
/// tells (other C libraries, sanitizers).
inline std::size_t heap_bytes() noexcept {
#if defined(__GLIBC__)
  const auto all = ::mallinfo2();
  return all.uordblks + all.hblkhd;
#else
  return 0;
#endif
}

}  // namespace ringbell::test
