// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/coro/detail/list.hpp>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

class context_entries;

/// An object that an execution context keeps in a list.
template <class T>
class context_entry : public list_node<T> {
public:
  /// Whether the context keeps it. The links do not tell, because other threads change them
  /// together with those of the neighbours.
  bool kept() const noexcept { return kept_; }

private:
  friend class context_entries;
  // Written by its own side and by the context that ends. These are never at work at the same time.
  bool kept_ = false;
};

/// An operation, with its handler, that waits for something that Asio does not know of. Its context
/// keeps it, and destroys it before what it refers to.
class pending_operation : public context_entry<pending_operation> {
public:
  /// Destroys the operation and its handler, without calling the handler.
  virtual void destroy() noexcept = 0;

protected:
  ~pending_operation() = default;
};

/// An object that uses its context, and may live for longer than the context. The context tells it
/// when it ends.
class context_object : public context_entry<context_object> {
public:
  /// The context ends, and its operations have gone. This is the last moment to use the context.
  virtual void context_ends() noexcept = 0;

protected:
  ~context_object() = default;
};

/// The lists that an execution context keeps of both.
context_entries& entries_of(net::execution_context& context);
/// Add and remove entries. Removing has no effect when the entry was removed, or when the context
/// has ended.
/// Thread-safety: any thread.
void add(context_entries& to, pending_operation& operation) noexcept;
void add(context_entries& to, context_object& object) noexcept;
void remove(context_entries& from, pending_operation& operation) noexcept;
void remove(context_entries& from, context_object& object) noexcept;
/// How many objects a context has. Another thread may be changing that.
unsigned objects_of(const context_entries& entries) noexcept;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
