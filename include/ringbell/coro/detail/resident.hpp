// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/errors.hpp>

#include <system_error>

namespace ringbell::detail {

/// What belongs to a loop and may outlive it. Linked into the loop's list of them.
class resident : public list_node<resident> {
public:
  /// The loop is going: lets go of all that it has there, while it is there. Called once, on the
  /// thread that destroys the loop; may destroy other residents.
  virtual void loop_gone() noexcept = 0;

protected:
  ~resident() = default;
};

/// Whether what belongs to `home` may be awaited in a coroutine of `context`. (One that is run by
/// no loop may await what names a loop of its own.)
inline bool at_home(const coroutine_context& context, const scheduler& home) noexcept {
  return !context.scheduler || context.scheduler == &home;
}

/// The same for coroutines. Throws `errc::wrong_loop`.
inline void require_home(const coroutine_context& context, const scheduler& home) {
  if (!at_home(context, home)) throw std::system_error(errc::wrong_loop);
}

}  // namespace ringbell::detail
