// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/executors.hpp>
#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/waited_handle.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// What ends an operation in time, on the operation's executor: a turn of its own, with the memory
/// for it, because there may be none when the time has come.
template <class Executor>
class limit_operation final : public operation {
public:
  limit_operation(const Executor& executor, end_at_limit end) noexcept
      : executor_(executor), end_(std::move(end)) {}
  void destroy() noexcept override { delete this; }
  void defer() override { dispatch(); }
  void dispatch() override { run_soon(executor_, turn(*this), std::allocator<void>()); }
  void hop() override {}

private:
  progress advance(bool) override { return progress::finished; }
  void complete() override {
    const std::unique_ptr<limit_operation> self(this);
    end_();
  }
  void keep_executor_busy(bool) override {}
  void* allocate_elsewhere(std::size_t bytes) override { return ::operator new(bytes); }
  void deallocate_elsewhere(void* memory, std::size_t bytes) noexcept override {
    ::operator delete(memory, bytes);
  }

  Executor executor_;
  end_at_limit end_;
};

/// The timer's handler: lets the `limit_operation` have its turn. It does so as well when the
/// operation has ended first: what that keeps alive is let go where the operation was.
class limit_reached {
public:
  using allocator_type = turn_allocator<void>;
  explicit limit_reached(operation& of) noexcept : of_(&of) {}
  limit_reached(limit_reached&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  limit_reached& operator=(limit_reached&&) = delete;
  ~limit_reached() {
    if (of_) of_->destroy();
  }
  allocator_type get_allocator() const noexcept { return allocator_type(*of_); }
  void operator()(const net_error_code&) { operation::run_at_last(std::exchange(of_, nullptr)); }

private:
  operation* of_;
};

/// An operation that ends with `timed_out` when its time has passed. The timer is made when it has
/// to wait: one that has what it wants never touches it.
template <class Operation>
class limited : public Operation {
protected:
  template <class Object, class... Arguments>
  limited(Object* on, time_limit limit, Arguments&&... arguments)
      : Operation(on, std::forward<Arguments>(arguments)...), due_(from_now(limit)) {}

  /// Starts the timer, once. Its handler runs on `executor`, like the operation.
  template <class Executor>
  void watch_time(const Executor& executor) {
    if (timer_ || due_ == std::chrono::steady_clock::time_point::max()) return;
    timer_.emplace(reactor_executor(net::query(executor, net::execution::context)), due_);
    timer_->async_wait(limit_reached(*new limit_operation<Executor>(executor, this->at_limit())));
  }

private:
  using timer =
      net::basic_waitable_timer<std::chrono::steady_clock,
                                net::wait_traits<std::chrono::steady_clock>, reactor_executor>;
  std::chrono::steady_clock::time_point due_;
  std::optional<timer> timer_;
};

template <class Operation>
inline constexpr bool is_limited = false;
template <class Operation>
inline constexpr bool is_limited<limited<Operation>> = true;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
