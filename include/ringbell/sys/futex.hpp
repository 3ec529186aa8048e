// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <system_error>

namespace ringbell::sys {

/// Who may wait on a word: threads of this process only (cheaper), or everybody who maps the
/// memory.
enum class futex_scope : std::uint8_t { private_, shared };

using futex_word = std::atomic<std::uint32_t>;
using futex_deadline = std::chrono::steady_clock::time_point;
inline constexpr futex_deadline no_deadline = (futex_deadline::max)();
inline constexpr std::uint32_t any_bits = ~std::uint32_t{0};

/// Sleeps while `word == expected`. Returns success once the word was seen to differ or a wake
/// arrived: look at the word again, since a wake is a hint and may be spurious. Interruptions by
/// signals are slept through. A word in a read-only mapping is fine.
/// Errors: `errc::timed_out` at the deadline; `std::errc::bad_address` when the word is not mapped;
/// `errc::not_supported` where the system has no futexes (macOS before 14.4, the BSDs; on Windows
/// those that processes share, which do not exist there). Only a `futex_wake` that shares a bit of
/// `bits` wakes this sleeper; 0 is `std::errc::invalid_argument`.
std::error_code futex_wait(const futex_word& word, std::uint32_t expected, futex_scope scope,
                           futex_deadline deadline = no_deadline,
                           std::uint32_t bits = any_bits) noexcept;

/// Wakes up to `count` sleepers that share a bit with `bits`. Returns how many it woke, or less
/// than 0 when the kernel refused; on macOS and Windows 1 for any number, and more may wake than
/// were meant. Cost: one system call, also when no thread sleeps.
int futex_wake(const futex_word& word, int count, futex_scope scope,
               std::uint32_t bits = any_bits) noexcept;

/// One of the words that `futex_wait_any` sleeps on.
struct futex_target {
  const futex_word* word;
  std::uint32_t expected;
  futex_scope scope;
};

/// Sleeps while every one of up to 128 words has its expected value. On success `index` is one that
/// was woken or differed (a hint: look at all). Interruptions by signals are slept through. Errors:
/// `errc::timed_out`; `errc::not_supported` on a kernel without futex_waitv (before 5.16);
/// `std::errc::invalid_argument` for no word or more than 128; `std::errc::bad_address`.
std::error_code futex_wait_any(std::span<const futex_target> targets, std::size_t& index,
                               futex_deadline deadline = no_deadline) noexcept;

/// Whether this kernel has futex_waitv. Asked once, then remembered.
bool has_futex_wait_any() noexcept;

}  // namespace ringbell::sys
