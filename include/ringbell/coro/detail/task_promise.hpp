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

/// What the promise of every task has: the context, who goes on when it ends, and the exception
/// that left it.
///
/// A parent begins its child by an ordinary call. A child that ends within this call returns from
/// it, and the parent goes on without having been suspended: so a loop of awaits takes no more
/// stack than one of them, whatever the compiler makes of symmetric transfer (g++ makes jumps of it
/// only with -foptimize-sibling-calls, and no compiler does under all sanitizers). A child that was
/// suspended resumes its parent by symmetric transfer when it ends.
///
/// Chains of tasks would need stack for each of them, on the way down as on the way up. So each
/// `deepest`th of a chain is left to the loop: it begins on a coming turn, from where the loop's
/// own stack is, and resumes its parent in the same way.
class task_promise_base {
public:
  std::suspend_always initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept { return final_awaiter(); }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  coroutine_context context() const noexcept { return context_; }
  void set_context(coroutine_context context) noexcept { context_ = context; }
  std::exception_ptr take_error() noexcept { return std::exchange(error_, nullptr); }

  /// Begins this task, `self`, as the child of `parent`. False when it has ended already, and the
  /// parent is to go on.
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
  /// The coroutine that goes on.
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
  /// With which a loop's list of what is ready may hold `h`, this coroutine or the one that goes
  /// on.
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
    // ended() may destroy the frame, and this awaiter in it: nothing of either is touched
    // afterwards.
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      return self.promise().ended();
    }
    void await_resume() const noexcept {}
  };

  /// What has become of a task by the end of the call that began it.
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
  union {  // as `uses_` says
    first_run* first_run_;
    ready_node node_;
  };
  use uses_ = use::nothing;
  std::uint8_t depth_ = 1;  // 0: it was left to the loop, and leaves its parent to it
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

/// Who a spawned task belongs to: it owns the frame.
class task_owner {
public:
  /// The task has ended, and hangs in its final suspension: the owner destroys the frame.
  virtual void ended(task_promise<void>& child) noexcept = 0;

protected:
  ~task_owner() = default;
};

/// Tasks without a result can be spawned: the links for that are part of their frames, so spawning
/// allocates nothing more.
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

/// The tasks that somebody has spawned and that have not ended, with their frames.
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
