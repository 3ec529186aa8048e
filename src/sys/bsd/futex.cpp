// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/futex.hpp>

#include <ringbell/errors.hpp>
#include <ringbell/time_limit.hpp>

#include "sys/posix/syscall.hpp"

#include <dlfcn.h>
#include <algorithm>
#include <cstddef>

// macOS has had futexes since 14.4, as functions of the system library. They are looked up at run
// time, so that one program also runs on older systems, and on the BSDs, which have none of these
// functions. Sleepers cannot be chosen by bits: a wake for some of them wakes all.

namespace ringbell::sys {

namespace {

// OS_CLOCK_MACH_ABSOLUTE_TIME; the time itself is in nanoseconds.
constexpr std::uint32_t clock_of_ticks = 32;
// OS_SYNC_WAIT_ON_ADDRESS_SHARED and OS_SYNC_WAKE_BY_ADDRESS_SHARED.
constexpr std::uint32_t shared_flag = 1;

template <class Function>
Function* look_up(const char* name) noexcept {
  return reinterpret_cast<Function*>(::dlsym(RTLD_DEFAULT, name));
}

struct functions {
  int (*wait)(void*, std::uint64_t, std::size_t, std::uint32_t) =
      look_up<int(void*, std::uint64_t, std::size_t, std::uint32_t)>("os_sync_wait_on_address");
  int (*wait_until)(void*, std::uint64_t, std::size_t, std::uint32_t, std::uint32_t,
                    std::uint64_t) =
      look_up<int(void*, std::uint64_t, std::size_t, std::uint32_t, std::uint32_t, std::uint64_t)>(
          "os_sync_wait_on_address_with_timeout");
  int (*wake_any)(void*, std::size_t, std::uint32_t) =
      look_up<int(void*, std::size_t, std::uint32_t)>("os_sync_wake_by_address_any");
  int (*wake_all)(void*, std::size_t, std::uint32_t) =
      look_up<int(void*, std::size_t, std::uint32_t)>("os_sync_wake_by_address_all");
  bool there() const noexcept { return wait && wait_until && wake_any && wake_all; }
};

const functions& system_functions() noexcept {
  static const functions found;
  return found;
}

std::uint32_t flag_of(futex_scope scope) noexcept {
  return scope == futex_scope::shared ? shared_flag : 0;
}

void* address_of(const futex_word& word) noexcept { return const_cast<futex_word*>(&word); }

}  // namespace

std::error_code futex_wait(const futex_word& word, std::uint32_t expected, futex_scope scope,
                           futex_deadline deadline, std::uint32_t bits) noexcept {
  if (bits == 0) return std::make_error_code(std::errc::invalid_argument);
  const functions& f = system_functions();
  if (!f.there()) return errc::not_supported;
  for (;;) {
    int result = 0;
    if (deadline == no_deadline) {
      result = f.wait(address_of(word), expected, sizeof word, flag_of(scope));
    } else {
      const std::chrono::nanoseconds left = detail::time_left(deadline);
      if (left.count() <= 0)
        return word.load(std::memory_order_relaxed) == expected ? make_error_code(errc::timed_out)
                                                                : std::error_code();
      result = f.wait_until(address_of(word), expected, sizeof word, flag_of(scope), clock_of_ticks,
                            static_cast<std::uint64_t>(left.count()));
    }
    if (result >= 0) return {};
    if (errno != EINTR && errno != ETIMEDOUT) return last_error();
  }
}

int futex_wake(const futex_word& word, int count, futex_scope scope, std::uint32_t bits) noexcept {
  const functions& f = system_functions();
  if (!f.there() || count <= 0) return 0;
  const auto wake = count == 1 && bits == any_bits ? f.wake_any : f.wake_all;
  // The system does not say how many sleepers it woke.
  return wake(address_of(word), sizeof word, flag_of(scope)) >= 0 ? 1 : 0;
}

std::error_code futex_wait_any(std::span<const futex_target>, std::size_t&,
                               futex_deadline) noexcept {
  return errc::not_supported;
}

bool has_futex_wait_any() noexcept { return false; }

}  // namespace ringbell::sys
