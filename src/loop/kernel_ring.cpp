// SPDX-License-Identifier: BSL-1.0
#include "kernel_ring.hpp"

#include "sys/posix/syscall.hpp"

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace ringbell::detail {

namespace {

using std::chrono::nanoseconds;

constexpr unsigned kernel_ioring_enter_no_iowait = 1u << 7;  // with ring_features::no_iowait

// The submission queue only has to hold one batch. The completion queue is larger because a burst
// that overflows it costs each watch a new request.
constexpr unsigned submission_entries = 128;
constexpr unsigned completion_entries = 1024;

// Handles the result of an enter. When the kernel has no memory for requests, or (before 5.19)
// completions have overflowed, the rest goes with the next call, after a delivery.
void entered(int result) {
  if (result >= 0 || result == -EBUSY || result == -EINTR || result == -ETIME) return;
  if (result != -EAGAIN && result != -ENOMEM)
    throw std::system_error(system_error_of(result), "ringbell: io_uring_enter");
  sys::wait_for_memory();
}

}  // namespace

__kernel_timespec to_timespec(nanoseconds time) noexcept {
  __kernel_timespec result{};
  result.tv_sec = time.count() / 1'000'000'000;
  result.tv_nsec = time.count() % 1'000'000'000;
  return result;
}

int kernel_ring::make(ring_features features) noexcept {
  io_uring_params params{};
  params.flags = features.flags | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
  params.cq_entries = completion_entries;
  const int result = ::io_uring_queue_init_params(submission_entries, &ring_, &params);
  if (result < 0) return result;
  features_ = features;
  made_ = true;
  enabled_ = (features.flags & IORING_SETUP_R_DISABLED) == 0;
  return 0;
}

void kernel_ring::enable() {
  if (enabled_) return;
  if (const int result = enable_ring(ring_); result < 0)
    throw std::system_error(system_error_of(result), "io_uring_register");
  enabled_ = true;
}

int kernel_ring::submit() noexcept {
  for (;;) {
    const int result = ::io_uring_submit_and_get_events(&ring_);
    if (result != -EINTR) return result;
  }
}

io_uring_sqe* kernel_ring::next_entry() noexcept {
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  if (entry != nullptr) return entry;
  submit();
  return ::io_uring_get_sqe(&ring_);
}

void kernel_ring::enter() { entered(overflowed() ? ::io_uring_get_events(&ring_) : submit()); }

// With DEFER_TASKRUN a cancelled request ends, and releases its file, in deferred work. The kernel
// does at least 16 pieces of it in each call, the oldest first.
void kernel_ring::submit_and_finish(std::size_t pieces) noexcept {
  submit();
  for (std::size_t left = pieces / 16 + 1; left != 0 && kernel_has_work(); --left)
    ::io_uring_get_events(&ring_);
}

void kernel_ring::sleep(nanoseconds limit) {
  __kernel_timespec time = to_timespec(limit);
  io_uring_getevents_arg argument{};
  argument.ts = limit == nanoseconds::max() ? 0 : reinterpret_cast<std::uintptr_t>(&time);
  // NO_IOWAIT: a thread that sleeps here is idle, and should not count as waiting for a disk.
  const unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG |
                         (features_.no_iowait ? kernel_ioring_enter_no_iowait : 0);
  // This call does not submit. Only liburing knows how to submit, and its call cannot pass
  // NO_IOWAIT in every version.
  const unsigned wanted = limit == nanoseconds(0) ? 0 : 1;  // 0: not even a timer is started
  entered(::io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), 0, wanted, flags,
                            reinterpret_cast<sigset_t*>(&argument), sizeof(argument)));
}

bool kernel_ring::take(completion& c) noexcept {
  io_uring_cqe* entry = nullptr;
  if (::io_uring_peek_cqe(&ring_, &entry) != 0) return false;
  c = {entry->user_data, entry->res, (entry->flags & IORING_CQE_F_MORE) != 0};
  ::io_uring_cq_advance(&ring_, 1);
  return true;
}

}  // namespace ringbell::detail
