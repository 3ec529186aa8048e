// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/asio/detail/handled_operation.hpp>
#include <ringbell/asio/detail/pending_operation.hpp>
#include <ringbell/asio/error.hpp>
#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/stop_token.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/loop/detail/loop_access.hpp>
#include <ringbell/loop/loop.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

// A native task as an Asio operation. It has two halves, which may be destroyed in either order:
//
//   on the loop:      the frame of run_task, with the task in it, and a run_end
//   on the contexts:  the run_operation, with the handler. The executor's context keeps it, and destroys it when it goes
//
// Between them is a `running_task`, which both halves and the handler's cancellation slot share.
// Three things may happen: the task ends, its frame is destroyed, the context is destroyed. The
// first of them takes the operation away from the others.
namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

class run_base;

/// What an operation runs, or why it cannot run.
template <class T>
class run_start {
public:
  run_start(loop& lp, task<T> work) noexcept : lp_(&lp), work_(std::move(work)) {}
  explicit run_start(const net_error_code& error) noexcept : error_(error) {}
  const net_error_code& error() const noexcept { return error_; }
  loop* lp() const noexcept { return lp_; }
  task<T> take() noexcept { return std::move(*work_); }

private:
  loop* lp_ = nullptr;
  std::optional<task<T>> work_;
  net_error_code error_;
};

/// What the two halves share.
class running_task {
public:
  explicit running_task(const net::any_io_executor& executor) noexcept : executor_(executor) {}

  // -- on the executor --
  /// The operation; null when the other half has taken it.
  run_base* of() const noexcept { return operation_; }
  run_base* take() noexcept { return std::exchange(operation_, nullptr); }
  void give_back(run_base* of) noexcept { operation_ = of; }
  inplace_stop_token stop_token() noexcept { return stop_.get_token(); }

  // -- where the handler runs --
  static void cancel(const std::shared_ptr<running_task>& self);
  /// Cancellation slots may keep this object alive for longer than the context lives.
  void leave_executor() noexcept { executor_.reset(); }

  /// True while the task is being begun, for which there may be no memory. It matters only then,
  /// and then the thread that has set it is the one that reads it.
  std::atomic<bool> beginning = false;

private:
  run_base* operation_ = nullptr;
  std::optional<net::any_io_executor> executor_;
  inplace_stop_source stop_;
};

/// What the operations have in common, whatever the type of their value.
class run_base : public operation, public pending_operation {
public:
  /// Sets the result of the task.
  void ends(const net_error_code& error, std::exception_ptr exception) noexcept {
    finish(error);
    exception_ = std::move(exception);
  }
  /// Calls the handler soon. Returns false when there is no memory for that.
  bool deliver();
  /// As deliver(), but calls the handler now when there is no memory.
  void deliver_anyhow();
  void destroy() noexcept override = 0;

protected:
  run_base(const net::any_io_executor& executor, const net_error_code& error);
  ~run_base() override;
  progress advance(bool) override { return progress::finished; }
  void connect(net::cancellation_slot slot) noexcept;
  void disconnect(net::cancellation_slot slot) noexcept {
    if (slot.is_connected()) slot.clear();
  }
  void rethrow() {
    if (exception_) std::rethrow_exception(std::move(exception_));
  }
  bool launch() noexcept;
  /// The task's end is told from now on: to an operation that is whole.
  void set_work(loop& lp, task<void> all) noexcept {
    loop_ = &lp;
    running_->give_back(this);
    all_.emplace(std::move(all));
  }
  const std::shared_ptr<running_task>& running() const noexcept { return running_; }

private:
  net::any_io_executor executor_;
  context_entries* context_ = nullptr;
  std::shared_ptr<running_task> running_;
  loop* loop_ = nullptr;
  std::optional<task<void>> all_;
  std::exception_ptr exception_;
};

/// Adds the value that the task gives, for the handler.
template <class T>
class run_result : public run_base {
public:
  using value_type = T;
  using stored_type = typename stored<T>::type;
  void keep(stored_type&& value) { value_ = std::move(value); }
  T take() {
    if constexpr (!std::is_void_v<T>) return std::move(value_);
  }

protected:
  using run_base::run_base;

private:
  [[no_unique_address]] stored_type value_{};
};

/// Ends the operation. If nothing else does, its destructor does.
template <class T>
class run_end {
public:
  explicit run_end(std::shared_ptr<running_task> running) noexcept : running_(std::move(running)) {}
  run_end(run_end&&) noexcept = default;
  run_end& operator=(run_end&&) = delete;
  ~run_end() {
    if (!running_) return;
    if (run_base* const of = running_->take()) {
      of->ends(
          running_->beginning ? net_error_code(net::error::no_memory) : to_net(errc::cancelled),
          nullptr);
      of->deliver_anyhow();
    }
  }
  void set(const net_error_code& error, std::exception_ptr exception,
           typename stored<T>::type&& value) {
    run_base* const of = running_->of();
    if (!of) return;
    of->ends(error, std::move(exception));
    static_cast<run_result<T>*>(of)->keep(std::move(value));
  }
  /// Returns false when there is no memory to call the handler; call it again later.
  bool finish() {
    if (loop* const lp = loop::current()) loop_access::hand_over(*lp);
    const std::shared_ptr<running_task> running = running_;
    if (run_base* const of = running->take(); of && !of->deliver()) {
      running->give_back(of);
      return false;
    }
    running_ = nullptr;
    return true;
  }
  inplace_stop_token stop_token() const noexcept { return running_->stop_token(); }

private:
  std::shared_ptr<running_task> running_;
};

template <class T>
task<void> run_task(task<T> work, run_end<T> end) {
  net_error_code error;
  std::exception_ptr exception;
  typename stored<T>::type value{};
  co_await adopt_stop_token(end.stop_token());
  try {
    if constexpr (std::is_void_v<T>)
      co_await std::move(work);
    else
      value = co_await std::move(work);
  } catch (...) {
    exception = std::current_exception();
  }
  if (exception) {
    error = to_net(exception);
    if (error) exception = nullptr;
  }
  end.set(error, std::move(exception), std::move(value));
  while (!end.finish()) co_await yield();
}

/// Runs a task, and ends with the result of the task.
template <class T>
class run_operation : public run_result<T> {
protected:
  /// Errors: throws `std::bad_alloc`.
  run_operation(const net::any_io_executor& executor, run_start<T>&& start)
      : run_result<T>(executor, start.error()) {
    if (start.lp())
      this->set_work(*start.lp(), run_task<T>(start.take(), run_end<T>(this->running())));
  }
};

/// The initiation that `async_initiate` calls.
template <class T, class Executor>
class initiate_run {
public:
  using executor_type = Executor;
  initiate_run(const Executor& executor, const net::any_io_executor& home)
      : executor_(executor), home_(home) {}
  executor_type get_executor() const noexcept { return executor_; }

  template <class Handler>
  void operator()(Handler&& handler, run_start<T> start) const {
    handled_operation<run_operation<T>, as_taken, std::decay_t<Handler>, Executor>::begin(
        std::forward<Handler>(handler), executor_, as_taken(), home_, std::move(start));
  }

private:
  Executor executor_;
  net::any_io_executor home_;  // runs the loop
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
