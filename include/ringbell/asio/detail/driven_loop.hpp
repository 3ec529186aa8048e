// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/waitable.hpp>

#include <memory>

namespace ringbell {
class loop;
}

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// Joins the waits of a handshake (a socket, a time limit, a pause) in one descriptor, that of a
/// private loop. The loop runs only while an operation looks at it, on the operation's thread. So a
/// listener or a connector does its handshakes with the same code as the native ones.
class driven_loop : public counted_waitable {
protected:
  /// Errors: throws as `loop` does, and for lack of descriptors.
  explicit driven_loop(net::execution_context& context);
  ~driven_loop() override;

  loop& lp() noexcept { return *loop_; }
  /// Does what can be done now, and arms the descriptor for the rest.
  void run_ready();
  /// Destroys the loop. What runs on it must have been destroyed before.
  void stop() noexcept;

private:
  std::unique_ptr<loop> loop_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
