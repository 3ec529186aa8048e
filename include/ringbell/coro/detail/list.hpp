// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

namespace ringbell::detail {

/// A link of an intrusive doubly-linked list. Unlinking or destroying a node takes it out of its
/// list. Not movable.
template <class Tag>
class list_node {
public:
  list_node() noexcept = default;
  list_node(const list_node&) = delete;
  list_node& operator=(const list_node&) = delete;
  ~list_node() { unlink(); }

  bool linked() const noexcept { return next_ != nullptr; }
  void unlink() noexcept {
    if (!next_) return;
    next_->prev_ = prev_;
    prev_->next_ = next_;
    next_ = prev_ = nullptr;
  }

private:
  template <class, class>
  friend class list;
  list_node* next_ = nullptr;
  list_node* prev_ = nullptr;
};

/// An intrusive doubly-linked list of `T`s, which derive from `list_node<Tag>`. The list does not
/// own its items.
template <class T, class Tag = T>
class list {
public:
  using node = list_node<Tag>;
  list() noexcept { clear(); }
  list(const list&) = delete;
  list& operator=(const list&) = delete;
  ~list() {
    while (!empty()) front().unlink();
    head_.next_ = head_.prev_ = nullptr;
  }

  bool empty() const noexcept { return head_.next_ == &head_; }
  // The list is a ring: its links are never null.
  // NOLINTNEXTLINE(clang-analyzer-core.uninitialized.UndefReturn)
  T& front() noexcept { return static_cast<T&>(*head_.next_); }
  void push_back(T& item) noexcept { insert_before(head_, item); }
  void push_front(T& item) noexcept { insert_before(*head_.next_, item); }
  /// Moves all items of `other` to the end of this list.
  void append(list& other) noexcept {
    if (other.empty()) return;
    node* first = other.head_.next_;
    node* last = other.head_.prev_;
    other.clear();
    first->prev_ = head_.prev_;
    head_.prev_->next_ = first;
    last->next_ = &head_;
    head_.prev_ = last;
  }
  /// Calls `f(T&)` for each item. `f` may unlink the item that it is given, but no other.
  template <class F>
  void for_each(F f) {
    for (node* n = head_.next_; n != &head_;) {
      node* following = n->next_;
      f(static_cast<T&>(*n));
      n = following;
    }
  }

private:
  void clear() noexcept { head_.next_ = head_.prev_ = &head_; }
  static void insert_before(node& position, T& item) noexcept {
    node& n = item;
    n.next_ = &position;
    n.prev_ = position.prev_;
    position.prev_->next_ = &n;
    position.prev_ = &n;
  }
  node head_;
};

}  // namespace ringbell::detail
