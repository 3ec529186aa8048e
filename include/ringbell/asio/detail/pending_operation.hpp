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

/// An object that uses its context, and may be kept for longer than that lives. The context tells it.
class context_object : public list_node<context_object> {
public:
  /// The context ends, and its operations have gone: this is the last moment to use it.
  virtual void context_ends() noexcept = 0;

protected:
  ~context_object() = default;
};

/// What an execution context keeps of both.
class context_entries;
context_entries& entries_of(net::execution_context& context);
/// Thread-safe, all of them. Nothing happens when it was removed, or its context has ended.
void add(context_entries& to, pending_operation& operation) noexcept;
void add(context_entries& to, context_object& object) noexcept;
void remove(context_entries& from, pending_operation& operation) noexcept;
void remove(context_entries& from, context_object& object) noexcept;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
