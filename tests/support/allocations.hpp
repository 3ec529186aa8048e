// SPDX-License-Identifier: BSL-1.0
#pragma once

// Counts what the program allocates, and lets allocations fail. allocations.cpp replaces the global
// operator new, so it is part of those programs only whose tests need it: AddressSanitizer does not
// see a mismatch of new and delete in them.
//
// ThreadSanitizer has operators of its own, which cannot be replaced: nothing is counted there, and
// `counts_allocations` says so.

#include <ringbell/ring/detail/park_fence.hpp>  // RINGBELL_UNDER_TSAN

#include <atomic>
#include <cstddef>
#include <limits>

namespace ringbell::test {

#ifdef RINGBELL_UNDER_TSAN
inline constexpr bool counts_allocations = false;
#else
inline constexpr bool counts_allocations = true;
#endif

inline std::atomic<std::size_t> allocations{0};
inline std::atomic<std::size_t> deallocations{0};

inline std::size_t outstanding() noexcept { return allocations - deallocations; }

inline constexpr int unlimited = std::numeric_limits<int>::max();
/// How many allocations of this thread succeed before all of its fail.
inline thread_local int allocations_left = unlimited;

}  // namespace ringbell::test
