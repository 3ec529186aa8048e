// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/detail/list.hpp>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// An operation that waits for something of which Asio knows nothing, with its handler. Its context
/// keeps it, and destroys it before what it refers to.
class pending_operation : public list_node<pending_operation> {
public:
  /// Destroys it, and its handler, which is not called.
  virtual void destroy() noexcept = 0;

protected:
  ~pending_operation() = default;
};

/// What an execution context keeps of such operations.
class pending_operations;
pending_operations& pending_operations_of(net::execution_context& context);
/// Thread-safe, both. Until it is removed, the operation is destroyed with the context.
void add(pending_operations& to, pending_operation& operation);
void remove(pending_operations& from, pending_operation& operation) noexcept;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
