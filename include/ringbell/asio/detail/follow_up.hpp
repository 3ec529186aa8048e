// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/executors.hpp>
#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/operation_memory.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>

// A handler often begins the next operation: a server that has written a reply reads the next
// request. To pass the executor's queue for that costs more than the operation itself; on an
// io_context each pass is a system call.
//
// So an operation that a handler begins on the handler's own executor has its first turn when the
// handler has returned, on the same thread. It does not depend on that return: the handler may
// throw, and where the executor's queue is open to other threads or to a nested run, these may come
// first. So the operation is in the queue as well, and whichever comes first takes it. What is
// queued is a `follow_up`, a place for one operation after another. A chain of operations passes
// the queue once for many.
namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// A place for one operation, and a turn in an executor's queue that runs what is there by then.
///
/// `operation_` and `queued_` are sequentially consistent. put() writes the first and reads the
/// second; the turn writes the second and reads the first. So either put() sees that the turn has
/// begun, and queues another one, or the turn sees the operation.
class follow_up : public operation {
public:
  /// Keeps `o` until it is taken. Returns false when another operation is here, or when there is no
  /// memory for a turn.
  /// Thread-safety: only one frame puts operations here.
  bool put(operation& o);
  /// Returns the operation, which the caller then runs. Null when there is none.
  /// Thread-safety: any thread.
  operation* take() noexcept { return operation_.exchange(nullptr); }

  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release_reference() noexcept;

  /// Called when an executor drops the turn.
  void destroy() noexcept final;
  void hop() final {}

protected:
  follow_up() noexcept = default;
  ~follow_up() override;

private:
  virtual void free() noexcept = 0;
  progress advance(bool) final { return progress::finished; }
  void complete() final;
  void keep_executor_busy(bool) final {}
  void* allocate_elsewhere(std::size_t bytes) final { return allocate_recycled(bytes); }
  void deallocate_elsewhere(void* memory, std::size_t bytes) noexcept final {
    free_recycled(memory, bytes);
  }

  std::atomic<operation*> operation_{nullptr};
  std::atomic<bool> queued_{false};
  std::atomic<unsigned> references_{1};  // of the frame that puts operations here, and of the turn
};

template <class Executor>
class follow_up_on final : public follow_up {
public:
  static follow_up* make(const Executor& executor) {
    memory_for<follow_up_on, std::allocator<void>> memory{std::allocator<void>()};
    auto* const f = new (memory.get()) follow_up_on(executor);
    memory.release();
    return f;
  }
  void defer() override { run_later(executor_, turn(*this), std::allocator<void>()); }
  void dispatch() override { defer(); }

private:
  explicit follow_up_on(const Executor& executor) : executor_(executor) {}
  void free() noexcept override {
    const memory_for<follow_up_on, std::allocator<void>> memory(std::allocator<void>(), this);
    this->~follow_up_on();
  }

  Executor executor_;
};

/// One call of an executor on a thread: it runs an operation, then what follows up on it. It ends
/// after some operations, or some time, so that the executor's other work has its turn.
/// Thread-safety: used by its thread only.
class handler_frame {
public:
  handler_frame() noexcept;
  handler_frame(const handler_frame&) = delete;
  handler_frame& operator=(const handler_frame&) = delete;
  ~handler_frame();

  /// Runs `o`, then what follows up on it.
  void run(operation* o);

  /// Says, while it lives, on which executor the handler of `o` runs. It has no effect when `o` is
  /// not what this thread's innermost frame runs: then its handler is called from an initiation.
  class handler {
  public:
    template <class Executor>
    handler(const operation& o, const Executor& executor) noexcept
        : handler(o, &tag<Executor>, &executor) {}
    /// The executor is one that runs handlers anywhere, so nothing follows up on them.
    explicit handler(const operation& o) noexcept : handler(o, nullptr, nullptr) {}
    handler(const handler&) = delete;
    handler& operator=(const handler&) = delete;
    ~handler();

  private:
    handler(const operation& o, const void* type, const void* executor) noexcept;
    handler_frame* frame_;
  };

  /// Lets `o` follow up on the handler that this thread runs. Returns false when it cannot: the
  /// executor is another one, an operation follows up already, or there is no memory. Then the
  /// frame ends with the handler, because what a handler queues may be hidden from other threads
  /// while the frame goes on.
  template <class Executor>
  static bool let_follow(operation& o, const Executor& executor) {
    handler_frame* const here = of_running_handler();
    if (!here) return false;
    const bool follows = here->put(o, executor);
    if (!follows) here->left_ = 0;
    return follows;
  }

  /// Whether what this thread's frame runs came to it by the executor's queue.
  static bool came_by_queue() noexcept;
  /// A queued turn of `f` has begun on this thread. The frame takes over the turn's reference.
  static void begun(follow_up& f) noexcept;

private:
  using clock = std::chrono::steady_clock;
  // The executor's other work waits for so many operations at most, after the first one. When their
  // handlers take long, it waits for `longest` and a few handlers: the clock is read after the
  // first two, and then after each fourth.
  static constexpr unsigned most = 31;
  static constexpr unsigned per_clock_read = 4;
  static constexpr std::chrono::microseconds longest{50};

  /// Names a type of executor by its address. It is not const, because linkers may merge constants.
  template <class Executor>
  static inline char tag = 0;

  /// Returns the frame whose handler this thread runs; null when there is none, or when the thread
  /// runs a context within that handler.
  static handler_frame* of_running_handler() noexcept;
  operation* next() noexcept;

  template <class Executor>
  bool put(operation& o, const Executor& executor) {
    if (type_ != &tag<Executor> || o.has_to_queue()) return false;
    if (*static_cast<const Executor*>(executor_) != executor) return false;
    try {
      if (!follow_up_) follow_up_ = follow_up_on<Executor>::make(executor);
    } catch (...) {
      return false;
    }
    return follow_up_->put(o);
  }

  handler_frame* outer_;
  const operation* runs_ = nullptr;
  const void* type_ = nullptr;  // while a handler runs: its executor
  const void* executor_ = nullptr;
  const void* runs_context_ = nullptr;  // what Asio has on this thread for that
  follow_up* follow_up_ = nullptr;
  operation* taken_ = nullptr;  // by a turn that began here
  unsigned left_ = most;
  clock::time_point begun_{};
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
