// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/asio.hpp"
#include "support/waitable.hpp"

namespace ringbell::test {

/// Waits on a context for what somebody signals.
class asio_waitable {
public:
  asio_waitable(const net::any_io_executor& executor, const waitable& w)
      : waitable_(w), object_(executor, duplicate(w)) {}
  /// Waits for the next signal, and takes it.
  net::awaitable<void> next() {
    co_await object_.async_wait(net::use_awaitable);
    waitable_.take();
  }

private:
  static sys::native_handle duplicate(const waitable& w) {
    HANDLE copy = nullptr;
    const HANDLE here = ::GetCurrentProcess();
    expect(::DuplicateHandle(here, w.native(), here, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS) != 0,
           "a duplicate of an event");
    return copy;
  }

  const waitable& waitable_;
  net::windows::object_handle object_;
};

}  // namespace ringbell::test
