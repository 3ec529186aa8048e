// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/ready.hpp>
#include <ringbell/coro/detail/timer_heap.hpp>

namespace ringbell::detail {

class resident;
struct scheduler_access;

/// What a coroutine needs of the loop that runs it: to be resumed on a coming turn, or at a time.
/// `loop` is the one class that derives from it; so tasks, timers and scopes know nothing of
/// handles and kernels.
class scheduler {
public:
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;

protected:
  scheduler() noexcept = default;
  virtual ~scheduler() = default;

  /// Something was started or completed. From outside of a run, while a foreign loop polls the
  /// armed native handle, it must hear of it.
  void changed() noexcept {
    if (armed_) nudge();
  }
  virtual void nudge() noexcept = 0;

  ready_list ready_;
  int budget_ = 0;  // synchronous completions left to the running coroutine before it must yield
  bool armed_ = false;  // control is with a foreign loop that polls the native handle
  timer_heap timers_;
  list<resident> residents_;

private:
  friend struct scheduler_access;
};

/// What ringbell's own awaitables may do with a scheduler. All on its thread.
struct scheduler_access {
  /// The one that is running on this thread; null outside of one.
  static scheduler* current() noexcept;
  /// Makes `s` the running one; gives the one before.
  static scheduler* exchange_current(scheduler* s) noexcept;

  /// Queues a suspended coroutine; it runs on a coming turn. No effect when it is queued already.
  static void schedule(scheduler& s, ready_node& node) noexcept {
    if (!node.linked()) s.ready_.push_back(node);
    s.changed();
  }
  /// Whether a coroutine may complete an await without suspending. False now and then, so that a
  /// channel that always has a message lets the others, and the timers, have their turn: then
  /// suspend and schedule().
  static bool may_continue(scheduler& s) noexcept { return --s.budget_ > 0; }
  /// What may_continue() counts, for objects that keep a pointer to it.
  static int& budget_of(scheduler& s) noexcept { return s.budget_; }

  /// `t.due()` is then `due`, whether or not it was pending before. Throws `std::bad_alloc`.
  static void add_timer(scheduler& s, timer& t, timer::time_point due) {
    s.timers_.add(t, due);
    s.changed();
  }
  static void remove_timer(scheduler& s, timer& t) noexcept { s.timers_.remove(t); }

  /// `item` hears of the scheduler's end.
  static void add_resident(scheduler& s, resident& item) noexcept;
};

}  // namespace ringbell::detail
