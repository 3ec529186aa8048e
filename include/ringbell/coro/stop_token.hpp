// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <utility>

namespace ringbell {

class inplace_stop_token;
class inplace_stop_source;

namespace detail {

/// What a stop source keeps of a registered callback: a link and a function. It lives inside the
/// `inplace_stop_callback`.
struct stop_node {
  using function = void (*)(stop_node&) noexcept;
  explicit stop_node(function f) noexcept : call(f) {}
  stop_node(const stop_node&) = delete;
  stop_node& operator=(const stop_node&) = delete;

  function call;
  stop_node* next = nullptr;
  // The pointer that points to this node; null when it is not registered.
  stop_node** link = nullptr;
};

}  // namespace detail

/// Asks work to stop. It has the interface of P2300's `inplace_stop_source`, but is for one thread.
///
/// Thread-safety: none; it belongs to the loop's thread, with all its tokens and callbacks. From
/// another thread, send the request through `loop::post`.
/// Lifetime: it must outlive its tokens and callbacks. Nothing is allocated.
class inplace_stop_source {
public:
  inplace_stop_source() noexcept = default;
  inplace_stop_source(const inplace_stop_source&) = delete;
  inplace_stop_source& operator=(const inplace_stop_source&) = delete;

  /// Requests the stop: calls every registered callback, once. Returns false when a stop was
  /// requested before.
  bool request_stop() noexcept;
  bool stop_requested() const noexcept { return requested_; }
  inplace_stop_token get_token() noexcept;

private:
  template <class>
  friend class inplace_stop_callback;
  void add(detail::stop_node& node) noexcept;

  detail::stop_node* callbacks_ = nullptr;
  bool requested_ = false;
};

/// Tells whether a stop was requested. It is copyable, and two words at most. A default-constructed
/// token is never stopped.
///
/// Thread-safety: none; the loop's thread.
/// Lifetime: its `inplace_stop_source` must outlive it.
class inplace_stop_token {
public:
  inplace_stop_token() noexcept = default;
  /// Return whether a stop was requested, and whether the token belongs to a source.
  bool stop_requested() const noexcept { return source_ && source_->stop_requested(); }
  bool stop_possible() const noexcept { return source_ != nullptr; }
  friend bool operator==(inplace_stop_token, inplace_stop_token) noexcept = default;

private:
  friend class inplace_stop_source;
  template <class>
  friend class inplace_stop_callback;
  explicit inplace_stop_token(inplace_stop_source* source) noexcept : source_(source) {}

  inplace_stop_source* source_ = nullptr;
};

/// Calls `f()` when a stop is requested; at once, when it already was. `F` must not throw.
/// Destruction deregisters the callback; `f` itself may destroy it.
///
/// Thread-safety: none; the loop's thread.
/// Lifetime: its `inplace_stop_source` must outlive it.
template <class F>
class inplace_stop_callback : private detail::stop_node {
public:
  inplace_stop_callback(inplace_stop_token token, F f) noexcept
      : stop_node(&invoke), f_(std::move(f)) {
    if (!token.source_) return;
    if (token.source_->stop_requested())
      f_();
    else
      token.source_->add(*this);
  }
  ~inplace_stop_callback() {
    if (!link) return;
    *link = next;
    if (next) next->link = link;
  }

private:
  static void invoke(stop_node& node) noexcept { static_cast<inplace_stop_callback&>(node).f_(); }
  F f_;
};

inline inplace_stop_token inplace_stop_source::get_token() noexcept {
  return inplace_stop_token(this);
}

inline void inplace_stop_source::add(detail::stop_node& node) noexcept {
  node.next = callbacks_;
  node.link = &callbacks_;
  if (callbacks_) callbacks_->link = &node.next;
  callbacks_ = &node;
}

inline bool inplace_stop_source::request_stop() noexcept {
  if (requested_) return false;
  requested_ = true;
  // Each node is unlinked before its call, so the call may destroy this callback or any other.
  while (detail::stop_node* node = callbacks_) {
    callbacks_ = node->next;
    if (callbacks_) callbacks_->link = &callbacks_;
    node->next = nullptr;
    node->link = nullptr;
    node->call(*node);
  }
  return true;
}

}  // namespace ringbell
