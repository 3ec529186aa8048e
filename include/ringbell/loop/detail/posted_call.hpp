// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/list.hpp>

namespace ringbell::detail {

/// Something to be called on a loop's thread. Posting it (`loop_access::post`) needs no memory, and
/// so cannot fail.
///
/// Its owner posts it again only after `run` or `drop` was called, and keeps it until then, or
/// until the loop is gone.
class posted_call : public list_node<posted_call> {
public:
  /// On the loop's thread. It may be posted again, or destroyed, within this.
  virtual void run() noexcept = 0;
  /// In place of `run`: the loop runs no more.
  virtual void drop() noexcept = 0;

protected:
  ~posted_call() = default;
};

}  // namespace ringbell::detail
