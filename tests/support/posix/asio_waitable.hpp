// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/asio.hpp"
#include "support/waitable.hpp"

#include <unistd.h>

namespace ringbell::test {

/// Waits on a context for what somebody signals.
class asio_waitable {
public:
  asio_waitable(const net::any_io_executor& executor, const waitable& w)
      : waitable_(w), descriptor_(executor, ::dup(w.native())) {}
  /// Waits for the next signal, and takes it.
  net::awaitable<void> next() {
    co_await descriptor_.async_wait(net::posix::descriptor_base::wait_read, net::use_awaitable);
    waitable_.take();
  }

private:
  const waitable& waitable_;
  net::posix::stream_descriptor descriptor_;
};

}  // namespace ringbell::test
