// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/futex.hpp>

#include <ringbell/errors.hpp>

#include "sys/posix/syscall.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace ringbell::sys {

namespace {

static_assert(sizeof(futex_word) == sizeof(std::uint32_t) && futex_word::is_always_lock_free,
              "the kernel looks at the plain word");
static_assert(sizeof(timespec::tv_sec) == sizeof(long),
              "SYS_futex takes the kernel's old timespec on 32-bit systems");

// Headers before Linux 5.16 lack these, so they are repeated here. The number is the same on every
// architecture.
constexpr long futex_waitv_number = 449;
constexpr std::uint32_t futex_32_bit = 2;
constexpr std::size_t max_targets = 128;
struct waitv_entry {
  std::uint64_t expected;
  std::uint64_t address;
  std::uint32_t flags;
  std::uint32_t reserved;
};
static_assert(sizeof(waitv_entry) == 24);

int scope_flag(futex_scope scope) noexcept {
  return scope == futex_scope::private_ ? FUTEX_PRIVATE_FLAG : 0;
}

// A deadline in the kernel's form: steady_clock is CLOCK_MONOTONIC. Null for no_deadline.
class kernel_deadline {
public:
  explicit kernel_deadline(futex_deadline deadline) noexcept : none_(deadline == no_deadline) {
    using namespace std::chrono;
    const auto since_boot =
        std::max(duration_cast<nanoseconds>(deadline.time_since_epoch()), nanoseconds::zero());
    const auto whole = duration_cast<seconds>(since_boot);
    time_.tv_sec = static_cast<time_t>(whole.count());
    time_.tv_nsec = static_cast<long>((since_boot - whole).count());
  }
  const timespec* get() const noexcept { return none_ ? nullptr : &time_; }

private:
  bool none_;
  timespec time_{};
};

// EAGAIN means that a word differed when the kernel looked, which is what a sleeper waits for.
std::error_code outcome_of(long returned) noexcept {
  if (returned >= 0 || errno == EAGAIN) return {};
  if (errno == ETIMEDOUT) return errc::timed_out;
  return last_error();
}

}  // namespace

std::error_code futex_wait(const futex_word& word, std::uint32_t expected, futex_scope scope,
                           futex_deadline deadline, std::uint32_t bits) noexcept {
  // FUTEX_WAIT_BITSET has an absolute deadline, so an interrupted wait can be repeated without
  // drifting.
  const kernel_deadline until(deadline);
  return outcome_of(retry([&] {
    return ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | scope_flag(scope), expected, until.get(),
                     nullptr, bits);
  }));
}

int futex_wake(const futex_word& word, int count, futex_scope scope, std::uint32_t bits) noexcept {
  return static_cast<int>(insist([&] {
    return ::syscall(SYS_futex, &word, FUTEX_WAKE_BITSET | scope_flag(scope), count, nullptr,
                     nullptr, bits);
  }));
}

std::error_code futex_wait_any(std::span<const futex_target> targets, std::size_t& index,
                               futex_deadline deadline) noexcept {
  if (targets.empty() || targets.size() > max_targets)
    return std::make_error_code(std::errc::invalid_argument);
  if (!has_futex_wait_any()) return errc::not_supported;

  std::array<waitv_entry, max_targets> entries;
  std::transform(targets.begin(), targets.end(), entries.begin(), [](const futex_target& t) {
    const auto flags = futex_32_bit | static_cast<std::uint32_t>(scope_flag(t.scope));
    return waitv_entry{t.expected, reinterpret_cast<std::uintptr_t>(t.word), flags, 0};
  });
  const kernel_deadline until(deadline);
  const long returned = retry([&] {
    return ::syscall(futex_waitv_number, entries.data(), targets.size(), 0, until.get(),
                     CLOCK_MONOTONIC);
  });
  const std::error_code error = outcome_of(returned);
  if (error) return error;

  if (returned >= 0) {
    index = static_cast<std::size_t>(returned);
    return {};
  }
  // The kernel does not say which one differed.
  const auto differs = [](const futex_target& t) {
    return t.word->load(std::memory_order_relaxed) != t.expected;
  };
  const auto found = std::find_if(targets.begin(), targets.end(), differs);
  index = found == targets.end() ? 0 : static_cast<std::size_t>(found - targets.begin());
  return {};
}

bool has_futex_wait_any() noexcept {
  // A call without words fails with EINVAL where the system call exists; sandboxes return ENOSYS or
  // EPERM.
  static const bool there =
      ::syscall(futex_waitv_number, nullptr, 0, 0, nullptr, CLOCK_MONOTONIC) < 0 && errno == EINVAL;
  return there;
}

}  // namespace ringbell::sys
