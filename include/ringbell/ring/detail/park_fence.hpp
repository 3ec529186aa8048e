// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <atomic>

#if defined(__SANITIZE_THREAD__)
#define RINGBELL_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RINGBELL_UNDER_TSAN 1
#endif
#endif

namespace ringbell::detail {

/// The full fence of the park protocol. It stands between a store of this side and a load of the
/// other side's word (endpoint.hpp lists them). ThreadSanitizer does not know fences, so under it a
/// sequentially consistent read-modify-write of one common word is used instead.
inline void park_fence() noexcept {
#ifdef RINGBELL_UNDER_TSAN
  static std::atomic<unsigned> word{0};
  word.fetch_add(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace ringbell::detail
