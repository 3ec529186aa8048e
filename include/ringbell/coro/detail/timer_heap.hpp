// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <chrono>
#include <cstddef>
#include <vector>

namespace ringbell::detail {

class timer_heap;

/// A point in time at which something is to be called. Intrusive: lives in its owner; destruction
/// takes it out of its heap.
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

/// A binary heap of timers, earliest first. Adding allocates only when the heap has never been so
/// large.
class timer_heap {
public:
  timer_heap() = default;
  timer_heap(const timer_heap&) = delete;
  timer_heap& operator=(const timer_heap&) = delete;
  ~timer_heap();

  bool empty() const noexcept { return items_.empty(); }
  std::size_t size() const noexcept { return items_.size(); }
  /// When the earliest is due; time_point::max() when there is none.
  timer::time_point next() const noexcept;
  /// A timer that is pending already is moved to its new time. Throws `std::bad_alloc`.
  void add(timer& t, timer::time_point due);
  void remove(timer& t) noexcept;
  /// Takes out every timer that is due at `now` and calls it, earliest first. Returns how many. A
  /// timer added meanwhile waits for the next call.
  std::size_t expire(timer::time_point now) noexcept;

private:
  void place(std::size_t index, timer& t) noexcept;
  void up(std::size_t index) noexcept;
  void down(std::size_t index) noexcept;
  std::vector<timer*> items_;
  timer::time_point
      // the `now` of the expire() that is running; else the epoch, so that no difference of times
      // overflows
      expiring_{};
};

}  // namespace ringbell::detail
