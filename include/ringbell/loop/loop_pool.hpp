// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/loop.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace ringbell {

/// Threads that each run a `loop` of their own. Work gets to a loop by `pool[i].post(f)`: `f` is
/// called on its thread, and may spawn, listen and connect there. What waits on a loop stays on it;
/// there is no stealing.
///
/// All loops have the same back end, so that what one has agreed with a peer (its bells) suits
/// each. Threads are pinned to no processor. Signals are blocked in them (see `sys::quiet_thread`),
/// and so go to the program's own threads.
///
/// An exception that leaves a posted function, or a loop's run for a failure of the system, calls
/// std::terminate, as one that leaves a spawned task does: nobody else is there to hear of it.
///
/// Thread-safety: `size`, the access to loops, and `stop` from any thread. Lifetime: outlives
/// everything that waits on its loops. Destruction stops, joins, and then, on the destroying
/// thread, destroys what is left: first the frames of spawned tasks and the functions posted but
/// not run, loop after loop while all loops exist, then the loops. Not from one of the pool's own
/// threads.
class loop_pool {
public:
  /// Makes `threads` loops on this thread, then starts a thread for each; 0: as many as this thread
  /// has processors (`sys::usable_cpus`). Throws as the constructors of `loop` and `std::thread`;
  /// everything begun has ended then. The back end that the first loop chose is what the others
  /// must get.
  explicit loop_pool(std::size_t threads = 0, loop_options options = {});
  loop_pool(const loop_pool&) = delete;
  loop_pool& operator=(const loop_pool&) = delete;
  ~loop_pool();

  std::size_t size() const noexcept { return loops_.size(); }
  /// A loop; `i` is less than `size()`. From other threads only its `post` and `stop`, and what
  /// never changes, may be called.
  loop& operator[](std::size_t i) const noexcept { return *loops_[i]; }
  /// The same. Throws `std::out_of_range`.
  loop& loop_at(std::size_t i) const { return *loops_.at(i); }

  /// Makes all runs return soon; what has not ended then stays suspended, and what is posted from
  /// then on may never run. Idempotent.
  void stop() noexcept;
  /// Whether `stop` was called. Thread-safe.
  bool stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }
  /// Waits until all runs have returned, which takes a `stop()`. Afterwards the loops do not run
  /// again, and belong to the calling thread: what waits on them may be destroyed there, in any
  /// order. Idempotent. Thread-safety: one thread, none of the pool's.
  void join();

private:
  std::atomic<bool> stopped_{
      false};  // release and acquire: who sees it can rely on no loop being run for long
  std::vector<std::unique_ptr<loop>> loops_;
  std::vector<std::thread> threads_;
};

}  // namespace ringbell
