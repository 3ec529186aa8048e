// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell::detail {

/// Returns the bytes of `text`.
inline std::span<const std::byte> as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// True for types that only refer to bytes: an operation need not keep them.
template <class T>
inline constexpr bool is_view = std::is_same_v<T, std::string_view>;
template <class T, std::size_t Extent>
inline constexpr bool is_view<std::span<T, Extent>> = true;

/// A temporary that owns the bytes of a `View`, as a `std::string` does. An operation that sends
/// such a temporary keeps it until it is sent, because the operation may be awaited after the end
/// of the expression that made it. An lvalue is not kept: `T` is a reference then.
template <class T, class View>
concept owner_of =
    std::is_class_v<T> && !is_view<std::remove_const_t<T>> && std::convertible_to<const T&, View>;
template <class T>
concept owns_bytes = owner_of<T, std::string_view> || owner_of<T, std::span<const std::byte>>;

template <owns_bytes Owner>
std::span<const std::byte> bytes_of(const Owner& owner) noexcept {
  if constexpr (std::convertible_to<const Owner&, std::string_view>)
    return as_bytes(owner);
  else
    return owner;
}

/// Holds the owner of an awaiter's bytes. It is the awaiter's first base, so it is constructed
/// before the base that refers to the bytes.
template <class Owner>
class keeps {
protected:
  explicit keeps(Owner owner) : owner_(std::move(owner)) {}
  ~keeps() = default;
  Owner owner_;
};

}  // namespace ringbell::detail
