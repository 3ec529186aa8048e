// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/detail/intrusive_ptr.hpp>
#include <ringbell/loop/loop.hpp>

#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {
class loop_driver;
void add_reference(loop_driver& driver) noexcept;
void release_reference(loop_driver& driver) noexcept;
}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// Lets the thread of an Asio executor run a native loop as long as this object lives. Made by
/// `run_in`.
class [[nodiscard]] running_loop {
public:
  explicit running_loop(detail::loop_driver& driver);
  running_loop(running_loop&& other) noexcept = default;
  running_loop& operator=(running_loop&& other) noexcept;
  ~running_loop() { stop(); }
  /// Stops running the loop now. Further calls have no effect.
  void stop() noexcept;

private:
  detail::intrusive_ptr<detail::loop_driver> driver_;
};

/// Lets the thread that runs `executor` drive the native loop `lp` through its pollable handle,
/// beside everything else that the thread does. The loop's tasks, channels and timers then run on
/// that thread, until the result is destroyed or stopped. Until then the execution context has
/// work, and its `run()` does not return.
///
/// Before it sleeps the loop polls its rings as its `spin_policy` says, for 2 us at a time. In
/// between the context's other handlers have their turn. An exception out of a function that was
/// posted to the loop leaves `run()`; call `run()` again to go on.
///
/// Errors: throws the system's error for lack of descriptors.
/// Thread-safety: when several threads run the context, pass a strand, and use the loop only there.
/// Lifetime: `lp` must outlive the result. When the execution context ends, the loop is no longer
/// driven.
running_loop run_in(loop& lp, const net::any_io_executor& executor);
template <class ExecutionContext>
  requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
running_loop run_in(loop& lp, ExecutionContext& context) {
  return run_in(lp, net::any_io_executor(context.get_executor()));
}

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
