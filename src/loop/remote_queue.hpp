// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "reactor.hpp"

#include <ringbell/loop/detail/posted_call.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/ring/detail/park_fence.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/limit.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace ringbell {

/// What other threads may touch. Waking a sleeping loop uses the park protocol again:
///
///   asleep  attention   the loop ...                          a thread that posts ...
///   false   any         is awake: looks before it sleeps      sets `attention`, stays silent
///   true    false       sleeps, or is about to                sets `attention`, resets `asleep`, rings
///   true    true        has missed nothing: looks once more   (the ring is under way)
///
/// Loop: store asleep (relaxed); park_fence(); load attention. Poster: store attention;
/// park_fence(); load asleep. Without either fence both may read the old value, and the function
/// waits for an unrelated event. The thread that resets `asleep` rings, so only one of many posters
/// does.
class loop::remote_queue final : public detail::event_sink {
public:
  explicit remote_queue(detail::reactor& r) : reactor_(r) {
    std::error_code error;
    bell_ = sys::event_bell::create(error);
    if (!error)
      error =
          reactor_.watch(bell_.native(), detail::event_read, detail::watch_mode::edge, *this, key_);
    if (error) throw sys::failure(error, "ringbell: no bell for the loop");
  }
  ~remote_queue() {
    // A thread that ended the loop's last run, by stop() or by a function, may not have left its
    // call yet.
    while (callers_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
    reactor_.unwatch(key_);
  }

  /// Destroys the functions that have not run, and drops the calls. True when there were any.
  bool discard() {
    std::vector<std::function<void()>> rest;
    detail::list<detail::posted_call> calls;
    {
      const std::lock_guard lock(mutex_);
      rest.swap(queue_);
      calls.append(calls_);
    }
    const bool any = !rest.empty() || !batch_.empty() || !calls.empty();
    batch_.clear();
    while (!calls.empty()) take_first(calls).drop();
    return any;
  }

  void push(std::function<void()> f) {
    const call inside(callers_);
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(f));
    }
    notify();
  }
  void push(detail::posted_call& c) noexcept {
    const call inside(callers_);
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(c);
    }
    notify();
  }
  void stop() noexcept {
    const call inside(callers_);
    // release, with the acquire in take_stop(): a thread that has seen the stop sees that this one
    // is inside the call.
    stop_.store(true, std::memory_order_release);
    notify();
  }
  bool stop_requested() const noexcept { return stop_.load(std::memory_order_relaxed); }
  bool take_stop() noexcept { return stop_.exchange(false, std::memory_order_acquire); }

  // The number of announced pieces of work, which will still post functions. Release and acquire: a
  // thread that reads zero sees what the last of them has done.
  void work_started() noexcept { work_.fetch_add(1, std::memory_order_relaxed); }
  void work_finished() noexcept {
    const call inside(callers_);
    if (work_.fetch_sub(1, std::memory_order_acq_rel) == 1) notify();
  }
  bool working() const noexcept { return work_.load(std::memory_order_acquire) != 0; }

  /// Whether there may be something to do. Acquire: a thread that sees it set sees everything that
  /// was written before the post.
  bool attention() const noexcept { return attention_.load(std::memory_order_acquire); }

  void run_all() {
    if (!attention() || !attention_.exchange(false, std::memory_order_acquire)) return;
    detail::list<detail::posted_call> calls;
    {
      const std::lock_guard lock(mutex_);
      calls.append(calls_);
      if (next_ == batch_.size()) {
        batch_.clear();
        next_ = 0;
        batch_.swap(queue_);
      }
    }
    while (!calls.empty()) take_first(calls).run();
    while (next_ < batch_.size()) {
      const std::function<void()> f = std::move(batch_[next_++]);
      try {
        f();
      } catch (...) {
        attention_.store(true, std::memory_order_relaxed);  // for the rest of the batch
        throw;
      }
    }
    batch_.clear();
    next_ = 0;
  }

  void set_asleep(bool asleep) noexcept { asleep_.store(asleep, std::memory_order_relaxed); }
  // It fails only when there is no thread left to wake.
  void ring() noexcept { (void)bell_.ring(); }

private:
  /// Marks that a thread is inside a call. Nothing of the loop is touched after the release, which
  /// pairs with the acquire in the destructor.
  class call {
  public:
    explicit call(std::atomic<unsigned>& callers) noexcept : callers_(callers) {
      callers_.fetch_add(1, std::memory_order_relaxed);
    }
    call(const call&) = delete;
    call& operator=(const call&) = delete;
    ~call() { callers_.fetch_sub(1, std::memory_order_release); }

  private:
    std::atomic<unsigned>& callers_;
  };

  static detail::posted_call& take_first(detail::list<detail::posted_call>& from) noexcept {
    detail::posted_call& first = from.front();
    first.unlink();
    return first;
  }
  void notify() noexcept {
    attention_.store(true, std::memory_order_release);
    detail::park_fence();
    if (asleep_.load(std::memory_order_relaxed) &&
        asleep_.exchange(false, std::memory_order_relaxed))
      ring();
  }
  // Waking up is enough: the turn looks at `attention`.
  void on_event(std::uint32_t) noexcept override { bell_.rearm(); }

  detail::reactor& reactor_;
  sys::event_bell bell_;
  detail::watch_key key_;
  std::vector<std::function<void()>> batch_;  // being run; only the loop's thread uses it
  std::size_t next_ = 0;
  std::mutex mutex_;
  std::vector<std::function<void()>> queue_;  // under the mutex
  detail::list<detail::posted_call> calls_;   // the same
  std::atomic<bool> attention_{false};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stop_{false};
  std::atomic<std::size_t> work_{0};
  std::atomic<unsigned> callers_{0};  // threads inside push(), stop() or work_finished()
};

}  // namespace ringbell
