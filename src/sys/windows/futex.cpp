// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/futex.hpp>

#include <ringbell/errors.hpp>

#include "sys/windows/win32.hpp"

#include <algorithm>

// WaitOnAddress works only between the threads of one process. Its list of sleepers is kept by the
// process, not by the kernel, so another process could not wake any. Sleepers cannot be chosen by
// bits: a wake for some of them wakes all.

namespace ringbell::sys {

namespace {

using namespace std::chrono;

void* address_of(const futex_word& word) noexcept { return const_cast<futex_word*>(&word); }

// Rounded up, so that no thread wakes before its deadline. A longer wait than a day wakes once a
// day.
DWORD time_until(futex_deadline deadline) noexcept {
  if (deadline == no_deadline) return INFINITE;
  const auto now = steady_clock::now();
  if (deadline <= now) return 0;
  return static_cast<DWORD>(
      std::min<long long>(ceil<milliseconds>(deadline - now).count(), 86'400'000));
}

}  // namespace

std::error_code futex_wait(const futex_word& word, std::uint32_t expected, futex_scope scope,
                           futex_deadline deadline, std::uint32_t bits) noexcept {
  if (bits == 0) return std::make_error_code(std::errc::invalid_argument);
  if (scope == futex_scope::shared) return errc::not_supported;
  for (;;) {
    if (::WaitOnAddress(address_of(word), &expected, sizeof expected, time_until(deadline)))
      return {};
    if (::GetLastError() != ERROR_TIMEOUT) return last_error();
    if (word.load(std::memory_order_relaxed) != expected) return {};
    if (deadline <= steady_clock::now()) return errc::timed_out;
  }
}

int futex_wake(const futex_word& word, int count, futex_scope scope, std::uint32_t bits) noexcept {
  if (scope == futex_scope::shared || count <= 0 || bits == 0) return 0;
  if (count == 1 && bits == any_bits)
    ::WakeByAddressSingle(address_of(word));
  else
    ::WakeByAddressAll(address_of(word));
  return 1;  // the system does not say how many it woke
}

std::error_code futex_wait_any(std::span<const futex_target>, std::size_t&,
                               futex_deadline) noexcept {
  return errc::not_supported;
}

bool has_futex_wait_any() noexcept { return false; }

}  // namespace ringbell::sys
