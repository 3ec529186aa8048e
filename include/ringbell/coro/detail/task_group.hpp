// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/scheduler.hpp>
#include <ringbell/coro/detail/task_promise.hpp>
#include <ringbell/coro/stop_token.hpp>
#include <ringbell/coro/task.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

namespace ringbell::detail {

/// A stop callback that requests a stop of another stop source.
class stop_link {
public:
  explicit stop_link(inplace_stop_source& to) noexcept : to_(to) {}
  void operator()() noexcept { to_.request_stop(); }

private:
  inplace_stop_source& to_;
};

/// A group of tasks that are waited for together: the base of `scope`, `when_all` and `when_any`.
/// The children share a stop source, which is linked to the parent's token. The derived class
/// decides what a failure means, and must call clear() in its destructor.
class task_group : private task_owner {
public:
  task_group(scheduler& home, inplace_stop_token parent) noexcept
      : home_(home), link_(parent, stop_link(stop_)) {}
  task_group(const task_group&) = delete;
  task_group& operator=(const task_group&) = delete;

  /// Adds a child that begins on the loop's next turn.
  void spawn(task<void> child) { scheduler_access::schedule(home_, adopt(child).start()); }
  /// Adds a child that begins at once, within this call. It may have ended when the call returns.
  void start(task<void> child) { adopt(child).frame().resume(); }

  bool request_stop() noexcept { return stop_.request_stop(); }
  bool stop_requested() const noexcept { return stop_.stop_requested(); }
  inplace_stop_token stop_token() noexcept { return stop_.get_token(); }
  std::size_t size() const noexcept { return size_; }

  class end_awaiter;

protected:
  ~task_group() = default;
  void clear() noexcept {
    stop_.request_stop();
    children_.clear();
    size_ = 0;
  }
  const scheduler& home() const noexcept { return home_; }
  virtual void failed(std::exception_ptr error) noexcept = 0;
  /// Whether a coroutine waits until no child is left.
  bool awaited() const noexcept { return !joiners_.empty(); }

private:
  task_promise<void>& adopt(task<void>& child) {
    task_promise<void>& promise = task_access::release(child).promise();
    children_.add(promise, *this, coroutine_context(&home_, stop_.get_token()));
    ++size_;
    return promise;
  }
  void ended(task_promise<void>& child) noexcept override {
    std::exception_ptr error = child.take_error();
    task_list::destroy(child);
    --size_;
    if (error) failed(std::move(error));
    if (size_ != 0) return;
    while (!joiners_.empty()) {
      ready_node& joiner = joiners_.front();
      joiner.unlink();
      scheduler_access::schedule(home_, joiner);
    }
  }

  scheduler& home_;
  inplace_stop_source stop_;
  inplace_stop_callback<stop_link> link_;
  run_queue joiners_;
  std::size_t size_ = 0;
  task_list children_;
};

/// Waits until no child is left. It ignores the stop token of the awaiting coroutine: the children
/// receive that stop request.
class task_group::end_awaiter : public ready_node {
public:
  explicit end_awaiter(task_group& n) noexcept : group_(n) {}
  bool await_ready() const noexcept { return group_.size_ == 0; }
  void await_suspend(std::coroutine_handle<> h) noexcept {
    waiting = h;
    group_.joiners_.push_back(*this);
  }
  void await_resume() const noexcept {}

protected:
  task_group& group_;
};

}  // namespace ringbell::detail
