// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/list.hpp>

#include <coroutine>

namespace ringbell::detail {

/// A suspended coroutine that can be put into its loop's list of ready coroutines. Every awaiter
/// that suspends contains one. Destroying the node, together with the coroutine's frame, takes it
/// out of the list, so a destroyed coroutine is never resumed.
struct ready_node : list_node<ready_node> {
  std::coroutine_handle<> waiting;
};

using run_queue = list<ready_node>;

}  // namespace ringbell::detail
