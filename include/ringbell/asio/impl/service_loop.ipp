// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/run_in.hpp>
#include <ringbell/loop.hpp>

#include <memory>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// A native loop inside a client or server of Asio's: run by the executor as long as the object is
/// open.
class service_loop {
public:
  explicit service_loop(const net::any_io_executor& executor) : loop_(quick_to_make()), running_(run_in(loop_, executor)) {}
  loop& lp() noexcept { return loop_; }

private:
  static loop_options quick_to_make() noexcept {
    loop_options o;
    o.backend = plain_backend();  // works everywhere, and is waited for through one descriptor
    return o;
  }
  loop loop_;
  running_loop running_;
};

/// Makes a `State` that contains a `service_loop` named `on`, and that is shared with tasks on that
/// loop: when one of them is the last to let go, the loop is running, and is destroyed a moment later by
/// the executor.
template <class State, class... Arguments>
std::shared_ptr<State> share_on_loop(const net::any_io_executor& executor, Arguments&&... arguments) {
  return std::shared_ptr<State>(new State(std::forward<Arguments>(arguments)...), [executor](State* last) {
    std::unique_ptr<State> owned(last);
    if (loop::current() == &last->on.lp()) net::post(executor, [owned = std::move(owned)] {});
  });
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
