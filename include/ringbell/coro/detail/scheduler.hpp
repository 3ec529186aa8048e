// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/ready.hpp>
#include <ringbell/coro/detail/timer_heap.hpp>

namespace ringbell::detail {

class resident;
struct scheduler_access;

/// The part of a loop that a coroutine needs: it resumes the coroutine on a coming turn or at a
/// given time. `loop` is the only class that derives from it. So tasks, timers and scopes know
/// nothing of handles and kernels.
class scheduler {
public:
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;

protected:
  scheduler() noexcept = default;
  virtual ~scheduler() = default;

  /// Called when an operation was started or completed. When this happens outside of a run, while a
  /// foreign loop polls the armed native handle, the handle must become readable: nudge() sees to
  /// that.
  void changed() noexcept {
    if (armed_) nudge();
  }
  virtual void nudge() noexcept = 0;

  run_queue ready_;
  int budget_ = 0;  // synchronous completions left to the running coroutine before it must yield
  bool armed_ = false;  // a foreign loop has control, and polls the native handle
  timer_heap timers_;
  list<resident> residents_;

private:
  friend struct scheduler_access;
};

/// What ringbell's own awaitables may do with a scheduler. Everything is called on its thread.
struct scheduler_access {
  /// The scheduler that is running on this thread; null when none is.
  static scheduler* current() noexcept;
  /// Makes `s` the running scheduler of this thread. Returns the previous one.
  static scheduler* exchange_current(scheduler* s) noexcept;

  /// Queues a suspended coroutine, which runs on a coming turn. Has no effect when it is already
  /// queued.
  static void schedule(scheduler& s, ready_node& node) noexcept {
    if (!node.linked()) s.ready_.push_back(node);
    s.changed();
  }
  /// Whether a coroutine may complete an await without suspending. False now and then, so that a
  /// channel that always has a message does not keep other coroutines and the timers from running.
  /// When it is false, suspend and call schedule().
  static bool may_continue(scheduler& s) noexcept { return --s.budget_ > 0; }
  /// The count that may_continue() decrements, for objects that keep a pointer to it.
  static int& budget_of(scheduler& s) noexcept { return s.budget_; }

  /// Sets `t` to expire at `due`, whether or not it was pending before. Throws `std::bad_alloc`.
  static void add_timer(scheduler& s, timer& t, timer::time_point due) {
    s.timers_.add(t, due);
    s.changed();
  }
  static void remove_timer(scheduler& s, timer& t) noexcept { s.timers_.remove(t); }

  /// Registers `item` to be told when the scheduler is destroyed.
  static void add_resident(scheduler& s, resident& item) noexcept;
};

}  // namespace ringbell::detail
