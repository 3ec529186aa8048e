// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/signals.hpp>

#include <ringbell/errors.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/sys/limit.hpp>

#include <span>
#include <system_error>

namespace ringbell {

signal_set::signal_set(std::initializer_list<int> signals) {
  std::error_code error;
  handle_ =
      sys::signal_handle::create(std::span<const int>(signals.begin(), signals.size()), error);
  if (error) throw sys::failure(error, "ringbell: cannot wait for these signals");
}

task<int> signal_set::next() {
  for (;;) {
    co_await readable(handle_.native());
    // Another handle for the same signal may have been faster.
    const result<int> signal = handle_.take();
    if (signal) co_return *signal;
    if (signal.error() != errc::would_block) throw std::system_error(signal.error());
  }
}

task<int> signalled(signal_set signals) { co_return co_await signals.next(); }

}  // namespace ringbell
