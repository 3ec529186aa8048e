// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/executors.hpp>
#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/waitable.hpp>
#include <ringbell/asio/run_in.hpp>
#include <ringbell/loop/detail/loop_access.hpp>

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <thread>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// Runs a loop whenever its handle says that there is something to do, and continually while its
/// rings are worth polling.
class loop_driver final : public counted_waitable {
public:
  loop_driver(loop& lp, const net::any_io_executor& executor)
      : counted_waitable(context_of(executor)), loop_(&lp) {
    net_error_code error;
    watch(lp.native_handle(), error);
    if (error) throw net_system_error(error, "ringbell: watching a loop");
  }

  /// Null when the driver was stopped.
  loop* driven() const noexcept { return loop_; }
  void stop() noexcept {
    unwatch();
    loop_ = nullptr;
  }
  /// Calls `what(of)` when the present turn of the loop is over. Called from within that turn.
  void after_turn(void (*what)(void* of) noexcept, void* of) noexcept {
    after_turn_ = what;
    of_ = of;
  }
  void turn_is_over() noexcept {
    if (const auto what = std::exchange(after_turn_, nullptr)) what(of_);
  }

private:
  ~loop_driver() override = default;
  void context_ends() noexcept override { stop(); }

  loop* loop_;
  void (*after_turn_)(void*) noexcept = nullptr;
  void* of_ = nullptr;
};

void add_reference(loop_driver& driver) noexcept { add_reference(static_cast<waitable&>(driver)); }
void release_reference(loop_driver& driver) noexcept {
  release_reference(static_cast<waitable&>(driver));
}

/// The work of a driver until it is stopped. It is an operation, so its turns take no memory on
/// Asio's own executors.
class drive_operation final : public operation {
public:
  drive_operation(loop_driver& driver, net::any_io_executor executor)
      : operation(&driver, towards_us), driver_(driver), executor_(std::move(executor)) {}
  void destroy() noexcept override { delete this; }
  void defer() override { run_later(executor_, turn(*this), std::allocator<void>()); }
  void dispatch() override { run_soon(executor_, turn(*this), std::allocator<void>()); }
  void hop() override {}

private:
  progress advance(bool) override {
    const progress next = drive();
    driver_->turn_is_over();
    return driver_->driven() ? next : progress::finished;
  }
  progress drive() noexcept {
    try {
      return loop_access::drive(*driver_->driven()) ? progress::again : progress::sleep;
    } catch (...) {
      // By a function that was posted to the loop, or because the kernel cannot be told what the
      // loop waits for: its handle may be silent then.
      thrown_ = std::current_exception();
      return progress::again;
    }
  }
  std::exception_ptr waits() override { return std::exchange(thrown_, nullptr); }
  /// Called when the driver was stopped, or when there is no memory for its next turn. In that case
  /// the turn is now.
  void complete() override {
    while (driver_->driven()) {
      go_on_with(*driver_);
      (void)advance(false);
      std::exception_ptr thrown = std::exchange(thrown_, nullptr);
      if (driver_->driven() && try_run_by(this, &operation::defer)) {
        if (thrown) std::rethrow_exception(std::move(thrown));
        return;
      }
      std::this_thread::sleep_for(between_tries);
    }
    delete this;
  }
  void keep_executor_busy(bool busy) override {
    busy_.reset();
    if (!busy) return;
    try {
      busy_.emplace(with_work(executor_));
    } catch (const std::bad_alloc&) {
      // The context may return from run() too early. That is better than not running the loop.
    }
  }
  void* allocate_elsewhere(std::size_t bytes) override { return ::operator new(bytes); }
  void deallocate_elsewhere(void* memory, std::size_t bytes) noexcept override {
    ::operator delete(memory, bytes);
  }

  intrusive_ptr<loop_driver> driver_;
  net::any_io_executor executor_;
  std::optional<net::any_io_executor> busy_;
  std::exception_ptr thrown_;
};

/// Runs a loop until the driver that is returned is stopped.
intrusive_ptr<loop_driver> drive(loop& lp, const net::any_io_executor& executor) {
  intrusive_ptr<loop_driver> driver(*new loop_driver(lp, executor));
  auto operation = std::make_unique<drive_operation>(*driver, executor);
  operation.release()->defer();
  return driver;
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

running_loop::running_loop(detail::loop_driver& driver) : driver_(driver) {}

running_loop& running_loop::operator=(running_loop&& other) noexcept {
  if (this != &other) {
    stop();
    driver_ = std::move(other.driver_);
  }
  return *this;
}

void running_loop::stop() noexcept {
  if (const auto driver = std::move(driver_)) driver->stop();
}

running_loop run_in(loop& lp, const net::any_io_executor& executor) {
  return running_loop(*detail::drive(lp, executor));
}

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
