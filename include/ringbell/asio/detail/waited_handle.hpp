// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/sys/handle.hpp>

#include <system_error>
#include <utility>

namespace ringbell::detail {

#ifdef RINGBELL_ASIO_WAITS_FOR_OBJECTS

/// A handle that operations wait for, until it is readable; here: signalled. It stays its owner's.
///
/// Asio's object closes what it was given: so it gets a duplicate, of the same object. Each signal of an auto-reset event ends one wait, the oldest. A cancellation
/// may take a signal and not tell: whoever waits on looks first, and asks the source of the signal whether there is news (`local_socket::native`).
class waited_handle {
public:
  explicit waited_handle(net::any_io_executor executor) : object_(std::move(executor)) {}

  void assign(sys::native_handle h, net_error_code& error) {
    std::error_code system;
    sys::handle borrowed(h);
    sys::handle own = borrowed.duplicate(system);
    (void)borrowed.release();
    error.assign(system.value(), net::error::get_system_category());
    if (system) return;
    object_.assign(own.get(), error);
    if (!error) (void)own.release();
  }
  template <class Operation>
  void async_wait(Operation&& operation) {
    object_.async_wait(std::forward<Operation>(operation));
  }
  void cancel(net_error_code& error) { object_.cancel(error); }
  void release() {
    net_error_code ignored;
    if (object_.is_open()) object_.close(ignored);
  }

private:
  net::windows::object_handle object_;
};

#else

/// A handle that operations wait for, until it is readable. It stays its owner's.
class waited_handle {
public:
  explicit waited_handle(net::any_io_executor executor) : descriptor_(std::move(executor)) {}

  void assign(sys::native_handle h, net_error_code& error) { descriptor_.assign(h, error); }
  template <class Operation>
  void async_wait(Operation&& operation) {
    descriptor_.async_wait(net::posix::stream_descriptor::wait_read, std::forward<Operation>(operation));
  }
  void cancel(net_error_code& error) { descriptor_.cancel(error); }
  void release() {
    if (descriptor_.is_open()) (void)descriptor_.release();
  }

private:
  net::posix::stream_descriptor descriptor_;
};

#endif

}  // namespace ringbell::detail
