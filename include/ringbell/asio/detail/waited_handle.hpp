// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/sys/handle.hpp>

#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// An executor that calls a function at once, on the calling thread. So the handler of a wait runs
/// on the thread that waits for the handles of a context.
class reactor_executor {
public:
  explicit reactor_executor(net::execution_context& context) noexcept : context_(&context) {}
  net::execution_context& query(net::execution::context_t) const noexcept { return *context_; }
  // Asio 1.27 and newer do not compile without this function. They use its result for handlers that
  // have an immediate executor, and no handler of a wait has one.
  reactor_executor require(net::execution::blocking_t::never_t) const noexcept { return *this; }
  template <class Function>
  void execute(Function&& f) const {
    std::decay_t<Function> local(std::forward<Function>(f));
    std::move(local)();
  }
  friend bool operator==(const reactor_executor&, const reactor_executor&) noexcept = default;

private:
  net::execution_context* context_;
};

/// A handle that operations wait for until it is readable (on Windows: signalled). The handle still
/// belongs to its owner. A waiting operation is called on the thread that has seen the event,
/// unless it has an executor.
///
/// On Windows Asio's object closes the handle that it was given, so it gets a duplicate. Each
/// signal of an auto-reset event ends one wait, the oldest. A cancellation may use up a signal
/// without telling. So a wait begins after a look at the ring, and after asking the source of the
/// signal whether there is something new (`local_socket::native`).
class waited_handle {
public:
#ifdef RINGBELL_ASIO_WAITS_FOR_OBJECTS
  using object = net::windows::basic_object_handle<reactor_executor>;
#else
  using object = net::posix::basic_stream_descriptor<reactor_executor>;
#endif
  explicit waited_handle(net::execution_context& context) : object_(reactor_executor(context)) {}

  void assign(sys::native_handle h, net_error_code& error);
  template <class Operation>
  void async_wait(Operation&& operation) {
#ifdef RINGBELL_ASIO_WAITS_FOR_OBJECTS
    object_.async_wait(std::forward<Operation>(operation));
#else
    object_.async_wait(object::wait_read, std::forward<Operation>(operation));
#endif
  }
  /// Blocks the thread until the handle is readable.
  void wait(net_error_code& error) {
#ifdef RINGBELL_ASIO_WAITS_FOR_OBJECTS
    object_.wait(error);
#else
    (void)object_.wait(object::wait_read, error);
#endif
  }
  void cancel(net_error_code& error) { (void)object_.cancel(error); }
  /// Gives the handle back without closing it.
  void release();

private:
  object object_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
