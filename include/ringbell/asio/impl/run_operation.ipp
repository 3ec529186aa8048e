// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/executors.hpp>
#include <ringbell/asio/detail/run_operation.hpp>

#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

namespace {

/// Begins a task on the thread of the executor.
class spawn_on_loop {
public:
  spawn_on_loop(loop& lp, task<void> t) noexcept : loop_(&lp), task_(std::move(t)) {}
  void operator()() { loop_->spawn(std::move(task_)); }

private:
  loop* loop_;
  task<void> task_;
};

/// The function that a cancellation slot gets.
class cancel_run {
public:
  explicit cancel_run(std::shared_ptr<running_task> running) noexcept
      : running_(std::move(running)) {}
  void operator()(net::cancellation_type_t type) const {
    if ((type & (net::cancellation_type::terminal | net::cancellation_type::partial |
                 net::cancellation_type::total)) != net::cancellation_type::none)
      running_->cancel(running_);
  }

private:
  std::shared_ptr<running_task> running_;
};

}  // namespace

void running_task::cancel(const std::shared_ptr<running_task>& self) {
  if (self->executor_) net::dispatch(*self->executor_, [self] { self->stop_.request_stop(); });
}

run_base::run_base(const net::any_io_executor& executor, const net_error_code& error)
    : executor_(executor), running_(std::make_shared<running_task>(executor)) {
  finish(executor ? error : to_net(errc::closed));
  if (executor) context_ = &entries_of(context_of(executor));
}

run_base::~run_base() {
  (void)running_->take();  // the frame may still exist; it must not use this operation any more
  if (context_) remove(*context_, *this);
  running_->leave_executor();
}

void run_base::connect(net::cancellation_slot slot) noexcept {
  if (outcome() || !slot.is_connected()) return;
  try {
    slot.emplace<cancel_run>(running_);
  } catch (...) {
    fail(net::error::no_memory);
  }
}

bool run_base::launch() noexcept {
  if (outcome()) return false;
  try {
    operation::sleep();
  } catch (...) {
    fail(net::error::no_memory);
    return false;
  }
  add(*context_, *this);
  // These are copied, because this object may be gone before the call returns.
  const net::any_io_executor executor = executor_;
  const std::shared_ptr<running_task> running = running_;
  running->beginning = true;
  try {
    net::dispatch(executor, spawn_on_loop(*loop_, std::move(*all_)));
  } catch (...) {
    // The task was destroyed, and its run_end has ended the operation.
  }
  running->beginning = false;
  return true;
}

bool run_base::deliver() {
  remove(*context_, *this);
  if (try_run_by(this, &operation::defer)) return true;
  add(*context_, *this);
  return false;
}

void run_base::deliver_anyhow() {
  remove(*context_, *this);
  run_by(this, &operation::defer);
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
