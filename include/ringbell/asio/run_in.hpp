// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/asio/detail/waitable.hpp>
#include <ringbell/detail/loop_access.hpp>
#include <ringbell/loop.hpp>

#include <type_traits>
#include <utility>

namespace ringbell {

namespace detail {

/// Runs a loop whenever its handle says that there is something to do, and again and again while its rings are worth polling.
class loop_driver final : public waitable {
public:
  loop_driver(loop& lp, net::any_io_executor executor) : waitable(executor), executor_(std::move(executor)), loop_(&lp) {
    net_error_code error;
    watch(lp.native_handle(), error);
    if (error) throw net_system_error(error, "ringbell: watching a loop");
  }
  void hold() noexcept { ++holds_; }
  void let_go() noexcept {
    if (--holds_ == 0) delete this;
  }

  void start() { net::post(executor_, turn(*this)); }
  void stop() noexcept {
    unwatch();
    loop_ = nullptr;
  }

private:
  ~loop_driver() = default;

  /// The handler of its own waits.
  class turn {
  public:
    using executor_type = net::any_io_executor;
    explicit turn(loop_driver& of) noexcept : driver_(&of) {}
    executor_type get_executor() const noexcept { return driver_->executor_; }
    void operator()(const net_error_code& = {}) {
      if (!driver_->loop_) return;
      // Also when a function that was posted to the loop throws.
      struct go_on {
        explicit go_on(loop_driver& d) noexcept : driver(&d) {}
        ~go_on() {
          if (!driver->loop_) return;
          if (soon)
            net::defer(turn(*driver));
          else
            driver->sleep(turn(*driver));
        }
        held<loop_driver> driver;
        bool soon = false;
      } afterwards(*driver_);
      afterwards.soon = loop_access::drive(*driver_->loop_);
    }

  private:
    held<loop_driver> driver_;
  };

  net::any_io_executor executor_;
  loop* loop_;
  unsigned holds_ = 0;
};

}  // namespace detail

/// While it lives, an Asio executor's thread runs a native loop. Made by `run_in`.
class [[nodiscard]] running_loop {
public:
  explicit running_loop(detail::loop_driver& driver) : driver_(&driver) { driver_->start(); }
  running_loop(running_loop&&) noexcept = default;
  running_loop& operator=(running_loop&& other) noexcept {
    if (this != &other) {
      stop();
      driver_ = std::move(other.driver_);
    }
    return *this;
  }
  ~running_loop() { stop(); }
  /// Ends it now. Idempotent.
  void stop() noexcept {
    if (driver_) driver_->stop();
    driver_ = {};
  }

private:
  detail::held<detail::loop_driver> driver_;
};

/// Lets the thread that runs `executor` drive the native loop `lp` through its pollable handle, beside everything else that it does: the loop's
/// tasks, channels and timers go on from there. Until the result is destroyed or stopped; so long the execution context has work, and its
/// `run()` does not return. An exception out of a function posted to the loop leaves `run()`; run it again to go on.
/// Before it sleeps the loop polls its rings as its `spin_policy` says, for 2 us at a time; in between the context's other handlers have their turn.
/// Throws the system's error, for lack of descriptors.
///
/// Thread-safety: with several threads give a strand, and touch the loop only there. Lifetime: `lp` and the execution context outlive the result.
inline running_loop run_in(loop& lp, net::any_io_executor executor) {
  return running_loop(*new detail::loop_driver(lp, std::move(executor)));
}
template <class ExecutionContext>
  requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
running_loop run_in(loop& lp, ExecutionContext& context) {
  return run_in(lp, net::any_io_executor(context.get_executor()));
}

}  // namespace ringbell
