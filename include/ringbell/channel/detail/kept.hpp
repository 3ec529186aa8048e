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

/// Characters as bytes, to be sent.
inline std::span<const std::byte> as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// What only refers to bytes, and so need not be kept.
template <class T>
inline constexpr bool is_view = std::is_same_v<T, std::string_view>;
template <class T, std::size_t Extent>
inline constexpr bool is_view<std::span<T, Extent>> = true;

/// A temporary that has the bytes of a `View`, as a `std::string` has. An operation that is given
/// one to send keeps it until it is sent: the operation may be awaited only after the end of the
/// expression in which it was made. (For what is no temporary `T` is a reference, and it is not
/// kept.)
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

/// The base of an awaiter that comes before what refers to it.
template <class Owner>
class keeps {
protected:
  explicit keeps(Owner owner) : owner_(std::move(owner)) {}
  ~keeps() = default;
  Owner owner_;
};

}  // namespace ringbell::detail
