// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/loop/loop.hpp>

#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {
class loop_driver;
}

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// While it lives, an Asio executor's thread runs a native loop. Made by `run_in`.
class [[nodiscard]] running_loop {
public:
  explicit running_loop(detail::loop_driver& driver);
  running_loop(running_loop&& other) noexcept : driver_(std::exchange(other.driver_, nullptr)) {}
  running_loop& operator=(running_loop&& other) noexcept;
  ~running_loop() { stop(); }
  /// Ends it now. Idempotent.
  void stop() noexcept;

private:
  detail::loop_driver* driver_;
};

/// Lets the thread that runs `executor` drive the native loop `lp` through its pollable handle,
/// beside everything else that it does: the loop's tasks, channels and timers go on from there.
/// Until the result is destroyed or stopped; so long the execution context has work, and its
/// `run()` does not return. An exception out of a function posted to the loop leaves `run()`; run
/// it again to go on. Before it sleeps the loop polls its rings as its `spin_policy` says, for 2 us
/// at a time; in between the context's other handlers have their turn. Throws the system's error,
/// for lack of descriptors.
///
/// Thread-safety: with several threads give a strand, and touch the loop only there. Lifetime: `lp`
/// outlives the result; the loop is driven until its execution context ends.
running_loop run_in(loop& lp, const net::any_io_executor& executor);
template <class ExecutionContext>
  requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
running_loop run_in(loop& lp, ExecutionContext& context) {
  return run_in(lp, net::any_io_executor(context.get_executor()));
}

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
