// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/waited_handle.hpp>
#include <ringbell/sleep.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// An operation that ends with `timed_out` when its time has passed. The timer is made when it has to
/// wait: one that has what it wants never touches it.
template <class Operation>
class limited : public Operation {
protected:
  template <class Object, class... Arguments>
  limited(Object* on, time_limit limit, Arguments&&... arguments)
      : Operation(on, std::forward<Arguments>(arguments)...), due_(from_now(limit)) {}

  /// Begins to wait, once. The end of the time is dealt with on `executor`, where the operation is.
  template <class Executor>
  void watch_time(const Executor& executor) {
    if (timer_ || due_ == std::chrono::steady_clock::time_point::max()) return;
    timer_.emplace(reactor_executor(net::query(executor, net::execution::context)), due_);
    timer_->async_wait(net::bind_executor(executor, this->at_limit()));
  }

private:
  using timer = net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>, reactor_executor>;
  std::chrono::steady_clock::time_point due_;
  std::optional<timer> timer_;
};

template <class Operation>
inline constexpr bool is_limited = false;
template <class Operation>
inline constexpr bool is_limited<limited<Operation>> = true;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
