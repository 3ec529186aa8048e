// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/executors.hpp>
#include <ringbell/asio/detail/waitable.hpp>
#include <ringbell/asio/run_in.hpp>
#include <ringbell/detail/loop_access.hpp>

#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// Runs a loop whenever its handle says that there is something to do, and again and again while its rings are worth polling.
class loop_driver final : public waitable {
public:
  loop_driver(loop& lp, net::any_io_executor executor) : waitable(context_of(executor)), executor_(std::move(executor)), loop_(&lp) {
    net_error_code error;
    watch(lp.native_handle(), error);
    if (error) throw net_system_error(error, "ringbell: watching a loop");
  }
  void hold() noexcept override { ++holds_; }
  void let_go() noexcept override {
    if (--holds_ == 0) delete this;
  }

  void start() { net::post(executor_, drive_once(*this)); }
  void stop() noexcept {
    unwatch();
    loop_ = nullptr;
  }

private:
  ~loop_driver() = default;

  /// The handler of its own waits.
  class drive_once {
  public:
    using executor_type = net::any_io_executor;
    explicit drive_once(loop_driver& of) noexcept : driver_(&of) {}
    executor_type get_executor() const noexcept { return driver_->executor_; }
    void operator()(const net_error_code& = {}) {
      if (!driver_->loop_) return;
      // Also when a function that was posted to the loop throws.
      struct go_on {
        explicit go_on(loop_driver& d) noexcept : driver(&d) {}
        ~go_on() {
          if (!driver->loop_) return;
          if (soon)
            net::defer(drive_once(*driver));
          else
            driver->wait_for_descriptor(drive_once(*driver));
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

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

running_loop::running_loop(detail::loop_driver& driver) : driver_(&driver) {
  const detail::held<detail::loop_driver> until_started(&driver);
  driver.start();
  driver.hold();
}

running_loop& running_loop::operator=(running_loop&& other) noexcept {
  if (this != &other) {
    stop();
    driver_ = std::exchange(other.driver_, nullptr);
  }
  return *this;
}

void running_loop::stop() noexcept {
  detail::loop_driver* const driver = std::exchange(driver_, nullptr);
  if (!driver) return;
  driver->stop();
  driver->let_go();
}

running_loop run_in(loop& lp, net::any_io_executor executor) { return running_loop(*new detail::loop_driver(lp, std::move(executor))); }

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
