// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/errors.hpp>

#include <system_error>

namespace ringbell::detail {

/// An object that belongs to a loop and may outlive it. The loop keeps a list of its residents.
class resident : public list_node<resident> {
public:
  /// Tells the object that its loop is being destroyed: it releases everything that it has there
  /// while the loop still exists. Called once, on the thread that destroys the loop. May destroy
  /// other residents.
  virtual void loop_gone() noexcept = 0;

protected:
  ~resident() = default;
};

/// Whether a coroutine of `context` may await an object that belongs to `home`. (A coroutine that
/// no loop runs may await an object that names its own loop.)
inline bool at_home(const coroutine_context& context, const scheduler& home) noexcept {
  return !context.scheduler || context.scheduler == &home;
}

/// Throws `errc::wrong_loop` unless at_home().
inline void require_home(const coroutine_context& context, const scheduler& home) {
  if (!at_home(context, home)) throw std::system_error(errc::wrong_loop);
}

}  // namespace ringbell::detail
