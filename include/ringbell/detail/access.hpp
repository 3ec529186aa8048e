// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <utility>

namespace ringbell::detail {

/// The library's own way to what is private in its public classes, whose friend it is. Programs do
/// not use it.
struct access {
  /// Constructs a `T` from the library's own parts.
  template <class T, class... Parts>
  static T make(Parts&&... parts) {
    return T(std::forward<Parts>(parts)...);
  }
  /// The object behind a public one; null when there is none.
  template <class T>
  static auto impl_of(T& object) noexcept {
    return object.impl();
  }
  /// The same, taken away from the public one.
  template <class T>
  static auto take_impl_of(T& object) noexcept {
    return object.give();
  }
  /// Ends the receiving of a channel whose interface has no such half.
  template <class Channel>
  static void close_receive(Channel& ch) noexcept {
    ch.close_receive();
  }
  /// The bytes of a reply: how many there are, and what writes them; null when there are none.
  template <class Reply>
  static auto size_of(const Reply& r) {
    return r.size();
  }
  template <class Reply>
  static auto content_of(const Reply& r) noexcept {
    return r.content();
  }
};

}  // namespace ringbell::detail
