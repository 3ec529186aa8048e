// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/coro/detail/list.hpp>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

class context_entries;

/// Something that an execution context keeps in a list.
template <class T>
class context_entry : public list_node<T> {
public:
  /// Whether it does. Not to be read from the links: these change with the neighbours, in other
  /// threads.
  bool kept() const noexcept { return kept_; }

private:
  friend class context_entries;
  bool kept_ =
      // written by its own side, and by the context that ends, which are never at work at the same
      // time
      false;
};

/// An operation that waits for something of which Asio knows nothing, with its handler. Its context
/// keeps it, and destroys it before what it refers to.
class pending_operation : public context_entry<pending_operation> {
public:
  /// Destroys it, and its handler, which is not called.
  virtual void destroy() noexcept = 0;

protected:
  ~pending_operation() = default;
};

/// An object that uses its context, and may be kept for longer than that lives. The context tells
/// it.
class context_object : public context_entry<context_object> {
public:
  /// The context ends, and its operations have gone: this is the last moment to use it.
  virtual void context_ends() noexcept = 0;

protected:
  ~context_object() = default;
};

/// What an execution context keeps of both.
context_entries& entries_of(net::execution_context& context);
/// Thread-safe, all of them. Nothing happens when it was removed, or its context has ended.
void add(context_entries& to, pending_operation& operation) noexcept;
void add(context_entries& to, context_object& object) noexcept;
void remove(context_entries& from, pending_operation& operation) noexcept;
void remove(context_entries& from, context_object& object) noexcept;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
