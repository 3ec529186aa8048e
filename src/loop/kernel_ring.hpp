// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io_uring_probe.hpp"

#include <liburing.h>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ringbell::detail {

__kernel_timespec to_timespec(std::chrono::nanoseconds time) noexcept;

/// An io_uring, and the calls that enter the kernel with it. The reactor decides
/// what the requests mean. io_uring.cpp says what the kinds of ring differ in.
///
/// Thread-safety: one thread, the one that enables the ring; a plain ring can change threads.
class kernel_ring {
public:
  kernel_ring() noexcept = default;
  kernel_ring(kernel_ring&& other) noexcept { swap(other); }
  kernel_ring& operator=(kernel_ring&& other) noexcept {
    swap(other);
    other.close();
    return *this;
  }
  ~kernel_ring() { close(); }

  /// Makes the ring. Returns a negative error of `io_uring_setup`, or 0.
  int make(ring_features features) noexcept;
  const ring_features& features() const noexcept { return features_; }
  int descriptor() const noexcept { return ring_.ring_fd; }
  /// Whether any thread may enter it, and a thread that sleeps on its descriptor is woken at once.
  bool plain() const noexcept {
    return (features_.flags & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN)) == 0;
  }

  /// Makes the calling thread the owner of the ring, when it has none. Throws std::system_error.
  void enable();
  bool enabled() const noexcept { return enabled_; }

  /// An entry for a request; null when the queue is full and the kernel accepts nothing.
  io_uring_sqe* next_entry() noexcept;
  bool has_entries() const noexcept { return ::io_uring_sq_ready(&ring_) != 0; }
  /// Submits the prepared entries, and lets the kernel post completions, in one call. During an
  /// overflow it does only the latter.
  void enter();
  /// Whether completions did not fit their queue.
  bool overflowed() const noexcept { return (kernel_flags() & IORING_SQ_CQ_OVERFLOW) != 0; }
  /// Whether the kernel has something that it does only when this thread enters it.
  bool kernel_has_work() const noexcept {
    // A plain ring never has TASKRUN. There the kernel interrupts the thread to post completions,
    // and only an overflow has to be asked for.
    return (kernel_flags() & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }
  /// Submits, and makes the kernel do all its deferred work. There are at most `pieces` of it.
  void submit_and_finish(std::size_t pieces) noexcept;
  /// Sleeps until there is a completion, but not longer than `limit`. It submits nothing.
  void sleep(std::chrono::nanoseconds limit);

  struct completion {
    std::uint64_t key;
    int result;
    bool goes_on;  // further completions of the same request will follow
  };
  unsigned completions() const noexcept { return ::io_uring_cq_ready(&ring_); }
  /// Takes the oldest completion. Returns false when there is none.
  bool take(completion& c) noexcept;

private:
  // Acquire, which pairs with the kernel's release: what the flags announce is there when this
  // thread enters.
  unsigned kernel_flags() const noexcept { return io_uring_smp_load_acquire(ring_.sq.kflags); }
  int submit() noexcept;
  void close() noexcept {
    if (std::exchange(made_, false)) ::io_uring_queue_exit(&ring_);
  }
  void swap(kernel_ring& other) noexcept {
    std::swap(ring_, other.ring_);
    std::swap(features_, other.features_);
    std::swap(made_, other.made_);
    std::swap(enabled_, other.enabled_);
  }

  io_uring ring_{};
  ring_features features_;
  bool made_ = false;
  bool enabled_ = false;
};

}  // namespace ringbell::detail
