// SPDX-License-Identifier: BSL-1.0
#include "io_uring_probe.hpp"

#include "sys/posix/syscall.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/handle.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <iterator>

namespace ringbell::detail {
namespace {

// These are newer than Debian 12's liburing.
constexpr int kernel_ioring_op_futex_wait = 51;  // 6.7
constexpr int kernel_futex2_size_u32 = 2;        // shared, because FUTEX2_PRIVATE is not set
constexpr unsigned kernel_ioring_feat_no_iowait = 1u << 17;  // 6.15

// The ways to make a ring, the best first.
constexpr unsigned ring_flags[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL,                            // 6.1
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,  // 5.19
    0,
};

/// A small ring that lives for one trial.
class trial {
public:
  ~trial() {
    if (made_) ::io_uring_queue_exit(&ring_);
  }

  /// Fills in `features`, or says what failed.
  std::error_code run(unsigned flags, ring_features& features, std::string& why_not);

private:
  bool reap(int& result, bool& goes_on);

  io_uring ring_;
  bool made_ = false;
};

bool trial::reap(int& result, bool& goes_on) {
  __kernel_timespec limit{};
  limit.tv_sec = 1;
  io_uring_getevents_arg argument{};
  argument.ts = reinterpret_cast<std::uintptr_t>(&limit);
  int entered = ::io_uring_submit_and_get_events(&ring_);
  if (entered >= 0)
    entered = ::io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), 0, 1,
                                IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                                reinterpret_cast<sigset_t*>(&argument), sizeof(argument));
  io_uring_cqe* completion = nullptr;
  if (entered >= 0) entered = ::io_uring_peek_cqe(&ring_, &completion);
  result = entered;
  if (completion == nullptr) return false;
  result = completion->res;
  goes_on = (completion->flags & IORING_CQE_F_MORE) != 0;
  ::io_uring_cqe_seen(&ring_, completion);
  return true;
}

std::error_code trial::run(unsigned flags, ring_features& features, std::string& why_not) {
  const auto refused = [&](const char* call, int negative, const char* hint) {
    const std::error_code error = system_error_of(negative);
    why_not = std::string(call) + ": " + error.message() + hint;
    return error;
  };
  io_uring_params params{};
  params.flags = flags | IORING_SETUP_CLAMP;
  int result = ::io_uring_queue_init_params(4, &ring_, &params);
  if (result < 0) {
    const char* hint = "";
    if (result == -EPERM || result == -EACCES)
      hint = " (containers often forbid it; see also sysctl kernel.io_uring_disabled)";
    if (result == -ENOSYS) hint = " (the kernel is too old, or a container hides it)";
    if (result == -ENOMEM) hint = " (the limit of locked memory, ulimit -l, may be too low)";
    return refused("io_uring_setup", result, hint);
  }
  made_ = true;
  if ((params.features & IORING_FEAT_EXT_ARG) == 0) {
    why_not = "io_uring: waiting with a time limit needs kernel 5.11 or later";
    return errc::not_supported;
  }
  if (flags & IORING_SETUP_R_DISABLED) {
    result = enable_ring(ring_);
    if (result < 0) return refused("io_uring_register", result, " (a sandbox may forbid it)");
  }

  const sys::handle event(::eventfd(1, EFD_CLOEXEC));
  if (!event) return refused("eventfd", -errno, "");
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  ::io_uring_prep_poll_multishot(entry, event.get(), POLLIN);
  bool goes_on = false;
  if (!reap(result, goes_on))
    return refused("io_uring_enter", result, " (a sandbox may forbid it)");
  if (result < 0 || !goes_on) {
    why_not = "io_uring: multishot poll does not work; it needs kernel 5.13 or later";
    return errc::not_supported;
  }

  // The word does not have the expected value: a kernel that knows the operation returns EAGAIN.
  const sys::futex_word word{0};
  entry = ::io_uring_get_sqe(&ring_);
  prepare_futex_wait(entry, word, 1);
  features.futex = reap(result, goes_on) && result == -EAGAIN;
  features.no_iowait = (params.features & kernel_ioring_feat_no_iowait) != 0;
  features.flags = flags;
  return {};
}

}  // namespace

// liburing 2.3 declares io_uring_enable_rings, but its shared library does not have it.
int enable_ring(const io_uring& ring) noexcept {
  const long result = sys::insist([&] {
    return ::syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  });
  return result < 0 ? -errno : 0;
}

void prepare_futex_wait(io_uring_sqe* entry, const sys::futex_word& word,
                        std::uint32_t expected) noexcept {
  ::io_uring_prep_rw(kernel_ioring_op_futex_wait, entry, kernel_futex2_size_u32, &word, 0,
                     expected);
  entry->addr3 = sys::any_bits;
}

std::error_code try_io_uring(std::size_t skip, ring_features& features, std::string& why_not) {
  std::error_code error;
  for (std::size_t i = std::min(skip, std::size(ring_flags) - 1); i < std::size(ring_flags); ++i) {
    error = trial().run(ring_flags[i], features, why_not);
    // EINVAL: the kernel does not know one of the flags.
    if (error != std::errc::invalid_argument) break;
  }
  if (!error) why_not.clear();
  return error;
}

}  // namespace ringbell::detail
