// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <system_error>

namespace ringbell::sys {

/// Which threads may wait on a word: only those of this process (cheaper), or all threads that map
/// the memory.
enum class futex_scope : std::uint8_t { private_, shared };

/// A word that threads can sleep on.
using futex_word = std::atomic<std::uint32_t>;
using futex_deadline = std::chrono::steady_clock::time_point;
inline constexpr futex_deadline no_deadline = (futex_deadline::max)();
inline constexpr std::uint32_t any_bits = ~std::uint32_t{0};

/// Sleeps while `word == expected`. Returns success once the word was seen to differ or a wake
/// arrived. Look at the word again, because a wake is a hint and may be spurious. Interruptions by
/// signals do not end the sleep. The word may be in a read-only mapping. Only a `futex_wake` that
/// shares a bit of `bits` wakes this sleeper.
/// Errors: `errc::timed_out` at the deadline; `std::errc::bad_address` when the word is not mapped;
/// `std::errc::invalid_argument` when `bits` is 0; `errc::not_supported` where the system has no
/// futexes (macOS before 14.4 and the BSDs; on Windows the scope `shared`).
/// Thread-safety: any thread.
std::error_code futex_wait(const futex_word& word, std::uint32_t expected, futex_scope scope,
                           futex_deadline deadline = no_deadline,
                           std::uint32_t bits = any_bits) noexcept;

/// Wakes up to `count` sleepers that share a bit with `bits`. Returns how many it woke, or less
/// than 0 when the kernel refused. On macOS and Windows it returns 1 for any number, and may wake
/// more sleepers than `count`.
/// Cost: one system call, even when no thread sleeps.
/// Thread-safety: any thread.
int futex_wake(const futex_word& word, int count, futex_scope scope,
               std::uint32_t bits = any_bits) noexcept;

/// One of the words on which `futex_wait_any` sleeps.
struct futex_target {
  const futex_word* word;
  std::uint32_t expected;
  futex_scope scope;
};

/// Sleeps while each of up to 128 words has its expected value. On success `index` is a word that
/// was woken or differed; it is a hint, so look at all words. Interruptions by signals do not end
/// the sleep.
/// Errors: `errc::timed_out`; `errc::not_supported` on a kernel without futex_waitv (before 5.16);
/// `std::errc::invalid_argument` for no word or more than 128; `std::errc::bad_address`.
/// Thread-safety: any thread.
std::error_code futex_wait_any(std::span<const futex_target> targets, std::size_t& index,
                               futex_deadline deadline = no_deadline) noexcept;

/// Whether this kernel has futex_waitv. The first call asks the kernel, and the answer is kept.
bool has_futex_wait_any() noexcept;

}  // namespace ringbell::sys
