// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/ready.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>
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

/// The base of every task's promise: the context, the coroutine that continues when the task ends,
/// and the exception that left it.
///
/// A parent begins its child by an ordinary call. A child that ends within this call returns from
/// it, and the parent goes on without having been suspended. So a loop of awaits takes no more
/// stack than one of them, whether or not the compiler turns symmetric transfer into jumps. (g++
/// does so only with -foptimize-sibling-calls, and no compiler does under all sanitizers.) A child
/// that was suspended resumes its parent by symmetric transfer when it ends.
///
/// In a chain of tasks each task would need stack, both when it begins its child and when it
/// resumes its parent. So every `deepest`th task of a chain is left to the loop: it begins on a
/// coming turn, from the loop's own stack, and resumes its parent in the same way.
class task_promise_base {
public:
  std::suspend_always initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept { return final_awaiter(); }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  coroutine_context context() const noexcept { return context_; }
  void set_context(coroutine_context context) noexcept { context_ = context; }
  std::exception_ptr take_error() noexcept { return std::exchange(error_, nullptr); }

  /// Begins this task, `self`, as the child of `parent`. Returns whether the parent stays
  /// suspended; false means that the child has ended already and the parent goes on.
  template <class Promise>
  bool begin(std::coroutine_handle<> self, std::coroutine_handle<Promise> parent) noexcept {
    context_ = coroutine_context_of(parent);
    continuation_ = parent;
    if constexpr (std::derived_from<Promise, task_promise_base>) {
      const task_promise_base& above = parent.promise();
      depth_ = static_cast<std::uint8_t>((above.depth_ + 1) % deepest);
      if (depth_ == 0 && context_.scheduler) return leave_to_loop(self), true;
    }
    first_run outcome = first_run::suspended;
    first_run_ = &outcome;
    uses_ = use::first_run;
    self.resume();
    if (outcome == first_run::suspended) uses_ = use::nothing;
    return outcome != first_run::ended;
  }

protected:
  task_promise_base() noexcept {}
  ~task_promise_base() {
    if (uses_ != use::nothing) leave();
  }
  /// The coroutine to transfer to when this one has ended.
  std::coroutine_handle<> ended() noexcept {
    if (uses_ == use::first_run) {
      *first_run_ = first_run::ended;
      uses_ = use::nothing;
      return std::noop_coroutine();
    }
    if (!continuation_) return std::noop_coroutine();
    if (depth_ == 0 && context_.scheduler)
      return leave_to_loop(continuation_), std::noop_coroutine();
    return continuation_;
  }
  void rethrow() {
    if (error_) std::rethrow_exception(take_error());
  }
  /// The node by which a loop's list of ready coroutines holds `h`, which is this coroutine or its
  /// continuation.
  ready_node& node_for(std::coroutine_handle<> h) noexcept {
    if (uses_ != use::node) std::construct_at(&node_);
    uses_ = use::node;
    node_.waiting = h;
    return node_;
  }

private:
  class final_awaiter {
  public:
    final_awaiter() noexcept {}
    bool await_ready() const noexcept { return false; }
    // ended() may destroy the frame, which contains this awaiter. Neither is touched afterwards.
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      return self.promise().ended();
    }
    void await_resume() const noexcept {}
  };

  /// The state of a task at the end of the call that began it.
  enum class first_run : std::uint8_t { suspended, ended, destroyed };
  enum class use : std::uint8_t { nothing, first_run, node };
  static constexpr std::uint8_t deepest = 32;

  void leave_to_loop(std::coroutine_handle<> h) noexcept {
    scheduler_access::schedule(*context_.scheduler, node_for(h));
  }
  void leave() noexcept {
    if (uses_ == use::first_run)
      *first_run_ = first_run::destroyed;
    else
      std::destroy_at(&node_);
  }

  coroutine_context context_;
  std::coroutine_handle<> continuation_;
  std::exception_ptr error_;
  union {  // `uses_` says which member is active
    first_run* first_run_;
    ready_node node_;
  };
  use uses_ = use::nothing;
  std::uint8_t depth_ = 1;  // 0: the loop began this task, and the loop resumes its parent
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
  task<T&> get_return_object() noexcept {
    return task<T&>(std::coroutine_handle<task_promise>::from_promise(*this));
  }
  void return_value(T& value) noexcept { value_ = std::addressof(value); }
  T& take() {
    rethrow();
    return *value_;
  }

private:
  friend task_promise_base;
  T* value_ = nullptr;
};

/// The owner of a spawned task and of its frame.
class task_owner {
public:
  /// Called when the task has ended and is at its final suspension point. The owner destroys the
  /// frame.
  virtual void ended(task_promise<void>& child) noexcept = 0;

protected:
  ~task_owner() = default;
};

/// Only tasks without a result can be spawned. Their promises contain the links for that, so
/// spawning allocates nothing more.
template <>
class task_promise<void> final : public task_promise_base, public list_node<task_promise<void>> {
public:
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() { rethrow(); }

  void set_owner(task_owner& owner) noexcept { owner_ = &owner; }
  ready_node& start() noexcept { return node_for(frame()); }
  std::coroutine_handle<task_promise> frame() noexcept {
    return std::coroutine_handle<task_promise>::from_promise(*this);
  }

private:
  friend task_promise_base;
  std::coroutine_handle<> ended() noexcept {
    if (!owner_) return task_promise_base::ended();
    owner_->ended(*this);
    return std::noop_coroutine();
  }

  task_owner* owner_ = nullptr;
};

/// The spawned tasks that have not ended. The list owns their frames.
class task_list {
public:
  task_list() noexcept = default;
  task_list(const task_list&) = delete;
  task_list& operator=(const task_list&) = delete;
  ~task_list() { clear(); }

  bool empty() const noexcept { return list_.empty(); }
  void add(task_promise<void>& child, task_owner& owner, coroutine_context context) noexcept {
    child.set_owner(owner);
    child.set_context(context);
    list_.push_back(child);
  }
  /// Destroys the frame of a task, which also removes it from its list.
  static void destroy(task_promise<void>& child) noexcept { child.frame().destroy(); }
  /// Destroys one task after the other until none is left, because a frame's destructors may spawn
  /// or destroy other tasks.
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
