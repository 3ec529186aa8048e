// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/ringbell.hpp>

#include <chrono>
#include <memory>

#include "support/asio.hpp"

namespace ringbell::test {

/// A loop that a context drives.
struct driven {
  net::io_context context;
  loop lp;
  running_loop driving = run_in(lp, context);
};

/// Tasks that such a loop can run.
inline task<std::unique_ptr<int>> value_after(int value, std::chrono::milliseconds after) {
  co_await sleep_for(after);
  co_return std::make_unique<int>(value);
}

inline task<void> sleep_long() { co_await sleep_for(std::chrono::hours(1)); }

}  // namespace ringbell::test
