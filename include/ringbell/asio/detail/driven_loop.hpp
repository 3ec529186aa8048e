// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/waitable.hpp>
#include <ringbell/loop.hpp>

#include <optional>
#include <utility>

namespace ringbell::detail {

/// The waits of a handshake (a socket, a time limit, a pause) as one descriptor: those of a private loop, which runs only while an
/// operation looks at it, on the operation's thread. So a listener or a connector has the same handshakes as the native ones.
class driven_loop : public waitable {
public:
  void hold() noexcept { ++holds_; }
  void let_go() noexcept {
    if (--holds_ == 0) delete this;
  }

protected:
  /// Throws as `loop` does, and for lack of descriptors.
  explicit driven_loop(net::any_io_executor executor) : waitable(std::move(executor)), loop_(std::in_place, quiet()) {
    net_error_code error;
    watch(loop_->native_handle(), error);
    if (error) throw net_system_error(error, "ringbell: watching a loop");
  }
  virtual ~driven_loop() { stop(); }

  loop& lp() noexcept { return *loop_; }
  /// Does what can be done now, and arms the descriptor for the rest.
  void run_ready() { loop_->run_ready(); }
  /// What runs on the loop must have been destroyed.
  void stop() noexcept {
    unwatch();
    loop_.reset();
  }

private:
  static loop_options quiet() noexcept {
    loop_options o;
    o.backend = plain_backend();  // the cheapest to make, and works everywhere
    o.spin = spin_policy::none;
    return o;
  }

  std::optional<loop> loop_;
  unsigned holds_ = 0;
};

}  // namespace ringbell::detail
