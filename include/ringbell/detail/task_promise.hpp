// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/list.hpp>
#include <ringbell/detail/ready.hpp>
#include <ringbell/environment.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringbell {
template <class T>
class task;
}

namespace ringbell::detail {

/// What the promise of every task has: the environment, who goes on when it ends, and the exception that left it.
class task_promise_base {
public:
  std::suspend_always initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept { return final_awaiter(); }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  environment env() const noexcept { return env_; }
  void set_environment(environment env) noexcept { env_ = env; }
  void set_continuation(std::coroutine_handle<> next) noexcept { continuation_ = next; }
  std::exception_ptr take_error() noexcept { return std::exchange(error_, nullptr); }

protected:
  task_promise_base() noexcept = default;
  ~task_promise_base() = default;
  std::coroutine_handle<> ended() const noexcept { return continuation_; }
  void rethrow() {
    if (error_) std::rethrow_exception(take_error());
  }

private:
  class final_awaiter {
  public:
    final_awaiter() noexcept {}
    bool await_ready() const noexcept { return false; }
    // ended() may destroy the frame, and this awaiter in it: nothing of either is touched afterwards.
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      return self.promise().ended();
    }
    void await_resume() const noexcept {}
  };

  environment env_;
  std::coroutine_handle<> continuation_ = std::noop_coroutine();
  std::exception_ptr error_;
};

template <class T>
class task_promise final : public task_promise_base {
public:
  task<T> get_return_object() noexcept;
  template <class U = T>
    requires std::is_constructible_v<T, U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    rethrow();
    return std::move(*value_);
  }

private:
  friend task_promise_base;
  std::optional<T> value_;
};

template <class T>
class task_promise<T&> final : public task_promise_base {
public:
  task<T&> get_return_object() noexcept { return task<T&>(std::coroutine_handle<task_promise>::from_promise(*this)); }
  void return_value(T& value) noexcept { value_ = std::addressof(value); }
  T& take() {
    rethrow();
    return *value_;
  }

private:
  friend task_promise_base;
  T* value_ = nullptr;
};

/// Who a spawned task belongs to: it owns the frame.
class task_owner {
public:
  /// The task has ended, and hangs in its final suspension: the owner destroys the frame.
  virtual void ended(task_promise<void>& child) noexcept = 0;

protected:
  ~task_owner() = default;
};

/// Tasks without a result can be spawned: the links for that are part of their frames, so spawning allocates nothing more.
template <>
class task_promise<void> final : public task_promise_base, public list_node<task_promise<void>> {
public:
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() { rethrow(); }

  void set_owner(task_owner& owner) noexcept { owner_ = &owner; }
  ready_node& start() noexcept {
    start_.waiting = frame();
    return start_;
  }
  std::coroutine_handle<task_promise> frame() noexcept { return std::coroutine_handle<task_promise>::from_promise(*this); }

private:
  friend task_promise_base;
  std::coroutine_handle<> ended() noexcept {
    if (!owner_) return task_promise_base::ended();
    owner_->ended(*this);
    return std::noop_coroutine();
  }

  task_owner* owner_ = nullptr;
  ready_node start_;
};

/// The tasks that somebody has spawned and that have not ended, with their frames.
class task_list {
public:
  task_list() noexcept = default;
  task_list(const task_list&) = delete;
  task_list& operator=(const task_list&) = delete;
  ~task_list() { clear(); }

  bool empty() const noexcept { return list_.empty(); }
  void add(task_promise<void>& child, task_owner& owner, environment env) noexcept {
    child.set_owner(owner);
    child.set_environment(env);
    list_.push_back(child);
  }
  /// Destroys the frame of a task; with it goes its place in the list.
  static void destroy(task_promise<void>& child) noexcept { child.frame().destroy(); }
  /// A frame's destructors may spawn or destroy others: so one after the other, until none is left.
  void clear() noexcept {
    while (!list_.empty()) {
      task_promise<void>& child = list_.front();
      child.unlink();
      destroy(child);
    }
  }

private:
  list<task_promise<void>> list_;
};

}  // namespace ringbell::detail
