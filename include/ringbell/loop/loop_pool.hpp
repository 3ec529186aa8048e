// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/loop.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace ringbell {

/// Threads that each run a `loop` of their own. `pool[i].post(f)` gives work to a loop: `f` is
/// called on its thread, and may spawn, listen and connect there. What waits on a loop stays on it;
/// no loop takes work from another.
///
/// All loops have the same back end, so that what one loop has agreed with a peer (its bells) is
/// valid on each. Threads are not pinned to processors. Signals are blocked in them (see
/// `sys::quiet_thread`), and so go to the program's own threads.
///
/// Errors: an exception that leaves a posted function or a spawned task, or that a run throws
/// because the system failed, calls std::terminate, because there is no caller to receive it.
/// Thread-safety: `size`, `stop`, `stopped` and the access to loops from any thread.
/// Lifetime: the pool must outlive everything that waits on its loops. Destruction stops the loops
/// and joins the threads. Then the destroying thread destroys what is left: first the frames of
/// spawned tasks and the posted functions that were not run, loop after loop while all loops exist,
/// and then the loops. One of the pool's own threads must not destroy the pool.
class loop_pool {
public:
  /// Creates `threads` loops on this thread, then starts a thread for each. With 0 there are as
  /// many as this thread has processors (`sys::usable_cpus`). The other loops must get the back end
  /// that the first loop chose.
  /// Errors: throws what the constructors of `loop` and `std::thread` throw. Every thread that was
  /// started has then ended.
  explicit loop_pool(std::size_t threads = 0, loop_options options = {});
  loop_pool(const loop_pool&) = delete;
  loop_pool& operator=(const loop_pool&) = delete;
  ~loop_pool();

  /// Returns the number of loops.
  std::size_t size() const noexcept { return loops_.size(); }
  /// A loop; `i` must be less than `size()`. Other threads may call only its `post` and `stop`, and
  /// functions whose result never changes.
  loop& operator[](std::size_t i) const noexcept { return *loops_[i]; }
  /// The same, but throws `std::out_of_range` when there is no such loop.
  loop& loop_at(std::size_t i) const { return *loops_.at(i); }

  /// Makes all runs return soon. What has not ended then stays suspended, and functions that are
  /// posted from then on may never run. Idempotent.
  /// Thread-safety: any thread.
  void stop() noexcept;
  /// Whether `stop` was called.
  /// Thread-safety: any thread.
  bool stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }
  /// Waits until all runs have returned, for which `stop()` must be called. Afterwards the loops do
  /// not run again, and belong to the calling thread: it may destroy what waits on them, in any
  /// order. Idempotent.
  /// Thread-safety: one thread, which is none of the pool's.
  void join();

private:
  /// release and acquire: a thread that sees it set can rely on every loop stopping soon.
  std::atomic<bool> stopped_{false};
  std::vector<std::unique_ptr<loop>> loops_;
  std::vector<std::thread> threads_;
};

}  // namespace ringbell
