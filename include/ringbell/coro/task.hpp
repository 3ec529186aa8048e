// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/task_promise.hpp>
#include <ringbell/fwd.hpp>

#include <coroutine>
#include <stdexcept>
#include <utility>

namespace ringbell {

namespace detail {
struct task_access;
}

/// A coroutine that computes a `T` (or void, or a reference) and is awaited at most once. It is
/// lazy: it begins when it is awaited, spawned or passed to `loop::run`. It passes its
/// `coroutine_context` to every task that it awaits, so all of them share a loop and a stop token.
///
/// Destroying a task that has not ended destroys its frame, and with it whatever it awaits: every
/// wait of this library deregisters itself.
///
/// A loop of awaits needs no more stack than one await. A chain of tasks that await each other
/// needs no more stack than 32 of them, however long it is. This holds at each level of
/// optimization and under sanitizers. (Every 32nd task of a chain begins, and ends, on a coming
/// turn of the loop.)
///
/// Errors: an exception that leaves the coroutine is thrown where the task is awaited.
/// Thread-safety: none; everything happens on the loop's thread.
/// Cancellation: a stop request reaches the innermost wait, which throws `errc::cancelled`.
/// Lifetime: arguments passed by reference must outlive the task. The coroutine must not destroy
/// its own task.
template <class T>
class [[nodiscard]] task {
public:
  /// What C++ needs of a coroutine's type, and the type of the task's value.
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task(task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      reset();
      frame_ = std::exchange(other.frame_, {});
    }
    return *this;
  }
  ~task() { reset(); }

  /// Whether there is a coroutine. False after the task was moved from, awaited or spawned.
  explicit operator bool() const noexcept { return static_cast<bool>(frame_); }

  class awaiter;
  /// Awaits the task. Throws `std::logic_error` when there is no coroutine.
  awaiter operator co_await() && {
    require_coroutine();
    return awaiter(std::move(*this));
  }
  awaiter operator co_await() & = delete;  // a task is awaited once: co_await std::move(t)

private:
  friend promise_type;
  friend struct detail::task_access;
  using frame = std::coroutine_handle<promise_type>;

  explicit task(frame f) noexcept : frame_(f) {}
  void require_coroutine() const {
    if (!frame_)
      throw std::logic_error(
          "ringbell: this task has no coroutine: it was moved from, awaited or spawned before");
  }
  void reset() noexcept {
    if (frame_) std::exchange(frame_, {}).destroy();
  }

  frame frame_;
};

/// The awaiter of a task. It owns the task until the await has ended.
template <class T>
class task<T>::awaiter {
public:
  explicit awaiter(task t) noexcept : task_(std::move(t)) {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> parent) noexcept {
    const frame child = task_.frame_;
    return child.promise().begin(child, parent);
  }
  T await_resume() { return task_.frame_.promise().take(); }

private:
  task task_;
};

namespace detail {

/// Gives loops and nurseries access to a task's frame.
struct task_access {
  /// Both functions throw `std::logic_error` when there is no coroutine.
  template <class T>
  static std::coroutine_handle<task_promise<T>> frame(const task<T>& t) {
    t.require_coroutine();
    return t.frame_;
  }
  template <class T>
  static std::coroutine_handle<task_promise<T>> release(task<T>& t) {
    t.require_coroutine();
    return std::exchange(t.frame_, {});
  }
};

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}

inline task<void> task_promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

}  // namespace detail
}  // namespace ringbell
