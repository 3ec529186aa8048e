// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <chrono>
#include <cstddef>
#include <vector>

namespace ringbell::detail {

class timer_heap;

/// A function to be called at a point in time. It is intrusive: it lives in its owner, and its
/// destruction takes it out of its heap.
class timer {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using function = void (*)(timer&) noexcept;
  explicit timer(function f) noexcept : expired_(f) {}
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  ~timer();

  bool pending() const noexcept { return heap_ != nullptr; }
  time_point due() const noexcept { return due_; }

private:
  friend class timer_heap;
  function expired_;
  time_point due_{};
  timer_heap* heap_ = nullptr;
  std::size_t index_ = 0;
};

/// A binary heap of timers, the earliest first. Adding a timer allocates only when the heap becomes
/// larger than it has ever been.
class timer_heap {
public:
  timer_heap() = default;
  timer_heap(const timer_heap&) = delete;
  timer_heap& operator=(const timer_heap&) = delete;
  ~timer_heap();

  bool empty() const noexcept { return items_.empty(); }
  std::size_t size() const noexcept { return items_.size(); }
  /// The time when the earliest timer is due; `time_point::max()` when there is none.
  timer::time_point next() const noexcept;
  /// Adds a timer; one that is already pending moves to its new time. Throws `std::bad_alloc`.
  void add(timer& t, timer::time_point due);
  void remove(timer& t) noexcept;
  /// Takes out every timer that is due at `now` and calls it, the earliest first. Returns how many
  /// there were. A timer added meanwhile waits for the next call.
  std::size_t expire(timer::time_point now) noexcept;

private:
  void place(std::size_t index, timer& t) noexcept;
  void up(std::size_t index) noexcept;
  void down(std::size_t index) noexcept;
  std::vector<timer*> items_;
  /// The `now` of the expire() that is running. Otherwise the epoch, so that no difference of times
  /// overflows.
  timer::time_point expiring_{};
};

}  // namespace ringbell::detail
