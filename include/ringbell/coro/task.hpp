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

/// A coroutine that computes a `T` (or void, or a reference) and is awaited at most once. Lazy: it
/// begins when it is awaited, spawned or given to `loop::run`. It hands its `coroutine_context` to
/// every task that it awaits, so all of them share a loop and a stop token.
///
/// An exception that leaves the coroutine is thrown where it is awaited. Destroying a task that has
/// not ended destroys its frame, and with it whatever it awaits: every wait of this library
/// deregisters itself. Not to be destroyed by the coroutine that it is.
///
/// Thread-safety: none; all of it happens on the loop's thread. Lifetime: arguments passed by
/// reference must outlive the task. Stack: a loop of awaits takes no more than one of them, and a
/// chain of tasks that await each other no more than 32 of them, however long it is, at each level
/// of optimization and under sanitizers. (Each 32nd task of a chain begins, and ends, on a coming
/// turn of the loop.)
template <class T>
class [[nodiscard]] task {
public:
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

  /// Whether there is a coroutine: false once it was moved from, awaited or spawned.
  explicit operator bool() const noexcept { return static_cast<bool>(frame_); }

  class awaiter;
  /// Throws `std::logic_error` when there is no coroutine.
  awaiter operator co_await() && {
    require_coroutine();
    return awaiter(std::move(*this));
  }
  awaiter operator co_await() & =
      delete;  // a task is awaited once, and given away for that: co_await std::move(t)

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

/// What `co_await` makes of a task: owns it until it has ended.
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

/// How loops and nurseries get at a task's frame.
struct task_access {
  /// Both throw `std::logic_error` when there is no coroutine.
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
