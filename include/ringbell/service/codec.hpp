// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>

#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

namespace ringbell {

/// Converts a `T` to the bytes of a request or a reply, and back. Specialize it for types of your
/// own, as examples/service/protobuf.cpp does for protobuf messages:
///
///     template <> struct ringbell::codec<my_type> {
///       // Returns exactly how many bytes `encode` writes.
///       static std::size_t size(const my_type&);
///       // Writes each byte. `into` is shared memory: do not read from it.
///       static void encode(const my_type&, std::span<std::byte> into);
///       // Throws std::system_error or call_error when the bytes are not a my_type.
///       static my_type decode(std::span<const std::byte>);
///     };
///
/// `size` is called right before `encode`, on an unchanged value. An exception that they throw is
/// thrown by the call for which they were called.
///
/// There are codecs for strings, for vectors of bytes, and for trivially copyable types without
/// pointers in them. Both sides are on one machine, so such a type is sent as its bytes. Take care
/// of padding bytes, and of enumerators that matter, because a hostile peer can send any value.
template <class T>
struct codec;

namespace detail {

/// Whether there is a codec that encodes a `T`.
template <class T>
concept encodable = requires(const T& value, std::span<std::byte> into) {
  { codec<T>::size(value) } -> std::convertible_to<std::size_t>;
  codec<T>::encode(value, into);
};

/// Whether there is a codec that decodes a `T`.
template <class T>
concept decodable = requires(std::span<const std::byte> bytes) {
  { codec<T>::decode(bytes) } -> std::convertible_to<T>;
};

/// The encoding half of a codec for containers of bytes.
template <class T>
struct bytes_codec {
  static std::size_t size(const T& value) noexcept { return value.size(); }
  static void encode(const T& value, std::span<std::byte> into) noexcept {
    if (!value.empty()) std::memcpy(into.data(), value.data(), value.size());
  }
};
template <class T>
concept plain_value = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
                      !std::is_reference_v<T> && !std::is_empty_v<T> &&
                      std::default_initializable<T> && !requires(const T& value) { value.data(); };
}  // namespace detail

template <>
struct codec<std::string> : detail::bytes_codec<std::string> {
  static std::string decode(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};
template <>
struct codec<std::vector<std::byte>> : detail::bytes_codec<std::vector<std::byte>> {
  static std::vector<std::byte> decode(std::span<const std::byte> bytes) {
    return {bytes.begin(), bytes.end()};
  }
};
/// Can only be sent, because what is received must own its bytes.
template <>
struct codec<std::string_view> : detail::bytes_codec<std::string_view> {};
template <>
struct codec<std::span<const std::byte>> : detail::bytes_codec<std::span<const std::byte>> {};

template <detail::plain_value T>
struct codec<T> {
  static std::size_t size(const T&) noexcept { return sizeof(T); }
  static void encode(const T& value, std::span<std::byte> into) noexcept {
    std::memcpy(into.data(), &value, sizeof(T));
  }
  /// Errors: throws `std::errc::invalid_argument` when the number of bytes is not `sizeof(T)`.
  static T decode(std::span<const std::byte> bytes) {
    if (bytes.size() != sizeof(T))
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              "ringbell: expected a value of " + std::to_string(sizeof(T)) +
                                  " bytes, got " + std::to_string(bytes.size()));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
};

}  // namespace ringbell
