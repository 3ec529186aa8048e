// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/asio/detail/executors.hpp>
#include <ringbell/asio/detail/pending_operation.hpp>
#include <ringbell/asio/error.hpp>
#include <ringbell/detail/awaitable.hpp>
#include <ringbell/detail/loop_access.hpp>
#include <ringbell/loop.hpp>
#include <ringbell/stop_token.hpp>
#include <ringbell/task.hpp>
#include <ringbell/timeout.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

// A native task as an Asio operation. There are two halves, which may be destroyed in either order:
//
//   on the loop:      the frame of run_task, with the task in it, and a run_end
//   on the contexts:  the run_operation, with the handler. The executor's context keeps it, and destroys it when it goes
//
// and between them a `running_task`, which both and the handler's cancellation slot share. Whoever comes first of "the task has ended", "its frame
// is destroyed" and "the context is destroyed" takes the operation away from the others.
namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// How a task has ended.
template <class T>
struct run_outcome {
  run_outcome() noexcept = default;
  explicit run_outcome(errc e) noexcept : error(to_net(e)) {}
  net_error_code error;
  std::exception_ptr exception;  // which has no code
  [[no_unique_address]] typename stored<T>::type value{};
};

/// What takes the outcome.
template <class T>
class run_handler : public pending_operation {
public:
  virtual void finish(run_outcome<T>&& outcome) = 0;

protected:
  ~run_handler() = default;
};

/// The two halves' common knowledge.
template <class T>
class running_task {
public:
  explicit running_task(const net::any_io_executor& executor) : executor_(executor) {}

  // -- on the executor --
  void finish(run_outcome<T>&& outcome) {
    if (run_handler<T>* const handler = std::exchange(handler_, nullptr)) handler->finish(std::move(outcome));
  }
  /// The operation is there, or is gone. Also before the start, on the initiating thread.
  void handle_by(run_handler<T>* handler) noexcept { handler_ = handler; }
  inplace_stop_token stop_token() noexcept { return stop_.get_token(); }

  // -- where the handler runs --
  static void cancel(const std::shared_ptr<running_task>& self) {
    if (self->executor_) net::dispatch(*self->executor_, [self] { self->stop_.request_stop(); });
  }
  /// Cancellation slots may keep this object for longer than there is a context.
  void leave_executor() noexcept { executor_.reset(); }

private:
  std::optional<net::any_io_executor> executor_;
  run_handler<T>* handler_ = nullptr;
  inplace_stop_source stop_;
};

/// Ends the operation, at the latest when it is destroyed.
template <class T>
class run_end {
public:
  explicit run_end(std::shared_ptr<running_task<T>> running) noexcept : running_(std::move(running)) {}
  run_end(run_end&&) noexcept = default;
  run_end& operator=(run_end&&) = delete;
  ~run_end() {
    if (running_) running_->finish(run_outcome<T>(errc::cancelled));
  }
  void finish(run_outcome<T>&& outcome) {
    if (loop* const lp = loop::current()) loop_access::hand_over(*lp);
    const std::shared_ptr<running_task<T>> running = std::move(running_);
    running->finish(std::move(outcome));
  }
  inplace_stop_token stop_token() const noexcept { return running_->stop_token(); }

private:
  std::shared_ptr<running_task<T>> running_;
};

template <class T>
task<void> run_task(task<T> work, run_end<T> end) {
  run_outcome<T> outcome;
  co_await adopt_stop_token(end.stop_token());
  try {
    if constexpr (std::is_void_v<T>)
      co_await std::move(work);
    else
      outcome.value = co_await std::move(work);
  } catch (...) {
    outcome.exception = std::current_exception();
  }
  if (outcome.exception) {
    outcome.error = to_net(outcome.exception);
    if (outcome.error) outcome.exception = nullptr;
  }
  end.finish(std::move(outcome));
}

/// What a cancellation slot gets.
template <class T>
class cancel_run {
public:
  explicit cancel_run(std::shared_ptr<running_task<T>> running) noexcept : running_(std::move(running)) {}
  void operator()(net::cancellation_type_t type) const {
    if ((type & (net::cancellation_type::terminal | net::cancellation_type::partial | net::cancellation_type::total)) !=
        net::cancellation_type::none)
      running_->cancel(running_);
  }

private:
  std::shared_ptr<running_task<T>> running_;
};

/// An executor whose context goes on running as long as it lives. (Not Asio's work guard, which does
/// not destroy what it was moved from.)
template <class Executor>
auto keeping_busy(const Executor& executor) {
  if constexpr (goes_anywhere<Executor>)
    return executor;  // nothing to be kept running
  else
    return with_work(executor);
}

/// A handler on its way to being called, and what keeps its contexts running until then.
template <class T, class Executor, class Handler>
class run_delivery {
public:
  using executor_type = typename net::associated_executor<Handler, Executor>::type;
  using allocator_type = typename net::associated_allocator<Handler>::type;

  template <class H>
  run_delivery(H&& handler, const Executor& executor, std::shared_ptr<running_task<T>> running)
      : handler_(std::forward<H>(handler)),
        executor_(net::get_associated_executor(handler_, executor)),
        busy_(keeping_busy(executor)),
        handlers_busy_(keeping_busy(executor_)),
        running_(std::move(running)) {}
  run_delivery(run_delivery&&) = default;
  run_delivery& operator=(run_delivery&&) = delete;
  ~run_delivery() {
    if (running_) running_->leave_executor();
  }

  executor_type get_executor() const noexcept { return executor_; }
  allocator_type get_allocator() const noexcept { return net::get_associated_allocator(handler_); }

  void connect() {
    net::cancellation_slot slot = net::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) slot.template emplace<cancel_run<T>>(running_);
  }
  void deliver_soon(run_outcome<T>&& outcome) && {
    outcome_ = std::move(outcome);
    if constexpr (goes_anywhere<executor_type>) {
      const auto here = busy_;
      net::defer(here, std::move(*this));
    } else {
      net::defer(std::move(*this));
    }
  }
  void operator()() {
    net::cancellation_slot slot = net::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) slot.clear();
    if (outcome_.exception) std::rethrow_exception(std::move(outcome_.exception));
    Handler handler(std::move(handler_));
    if constexpr (std::is_void_v<T>)
      std::move(handler)(std::move(outcome_.error));
    else
      std::move(handler)(std::move(outcome_.error), std::move(outcome_.value));
  }

private:
  Handler handler_;
  executor_type executor_;
  decltype(keeping_busy(std::declval<const Executor&>())) busy_;
  decltype(keeping_busy(std::declval<const executor_type&>())) handlers_busy_;
  std::shared_ptr<running_task<T>> running_;
  run_outcome<T> outcome_;
};

/// A handler that waits for a task. In memory of the handler's allocator.
template <class T, class Executor, class Handler>
class run_operation final : public run_handler<T> {
public:
  using delivery = run_delivery<T, Executor, Handler>;

  template <class H>
  static void begin(H&& handler, const Executor& executor, const std::shared_ptr<running_task<T>>& running) {
    delivery d(std::forward<H>(handler), executor, running);
    d.connect();
    memory_of all(d.get_allocator());
    run_operation* const memory = all.allocate(1);
    run_operation* operation;
    try {
      operation = new (memory) run_operation(std::move(d), executor, running);
    } catch (...) {
      all.deallocate(memory, 1);
      throw;
    }
    add(operation->contexts_, *operation);
    running->handle_by(operation);
  }

  void finish(run_outcome<T>&& outcome) override {
    remove(contexts_, *this);
    delivery d(std::move(delivery_));
    free(d.get_allocator());  // before the handler is called
    std::move(d).deliver_soon(std::move(outcome));
  }
  void destroy() noexcept override {
    running_->handle_by(nullptr);
    const delivery d(std::move(delivery_));
    free(d.get_allocator());
  }

private:
  using memory_of = typename std::allocator_traits<typename delivery::allocator_type>::template rebind_alloc<run_operation>;

  run_operation(delivery&& d, const Executor& executor, std::shared_ptr<running_task<T>> running)
      : delivery_(std::move(d)), contexts_(pending_operations_of(context_of(executor))), running_(std::move(running)) {}
  ~run_operation() = default;
  void free(const typename delivery::allocator_type& allocator) noexcept {
    memory_of all(allocator);
    this->~run_operation();
    all.deallocate(this, 1);
  }

  delivery delivery_;
  pending_operations& contexts_;
  std::shared_ptr<running_task<T>> running_;
};

/// Begins a task on the executor's thread.
class spawn_on_loop {
public:
  spawn_on_loop(loop& lp, task<void> t) noexcept : loop_(&lp), task_(std::move(t)) {}
  void operator()() { loop_->spawn(std::move(task_)); }

private:
  loop* loop_;
  task<void> task_;
};

/// What `async_initiate` calls.
template <class T, class Executor>
class initiate_run {
public:
  using executor_type = Executor;
  explicit initiate_run(const Executor& executor) noexcept : executor_(executor) {}
  executor_type get_executor() const noexcept { return executor_; }

  template <class Handler>
  void operator()(Handler&& handler, loop* lp, task<T> work) const {
    const auto running = std::make_shared<running_task<T>>(executor_);
    task<void> all = run_task<T>(std::move(work), run_end<T>(running));
    run_operation<T, Executor, std::decay_t<Handler>>::begin(std::forward<Handler>(handler), executor_, running);
    net::dispatch(executor_, spawn_on_loop(*lp, std::move(all)));
  }

private:
  Executor executor_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
