// SPDX-License-Identifier: BSL-1.0
// What the key-value service and its clients agree on: methods, error codes, and how a row looks on
// the wire.
#pragma once

#include <ringbell/service/codec.hpp>
#include <ringbell/service/method.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <system_error>

namespace kv {

// By name, so that `ringbell call` can make them as well.
inline constexpr std::uint32_t get = ringbell::method_id("get");        // key -> value
inline constexpr std::uint32_t put = ringbell::method_id("put");        // row -> nothing
inline constexpr std::uint32_t remove = ringbell::method_id("delete");  // key -> nothing
inline constexpr std::uint32_t scan = ringbell::method_id("scan");  // prefix -> rows, one a part

/// The codes of the `call_error`s that the service answers with.
inline constexpr int not_found = 1;
inline constexpr int too_many_rows = 2;

struct row {
  std::string key;
  std::string value;
};

}  // namespace kv

/// The length of the key in 4 bytes (of the machine's order: both sides are on one machine), the
/// key, the value.
template <>
struct ringbell::codec<kv::row> {
  static std::size_t size(const kv::row& r) {
    return sizeof(std::uint32_t) + r.key.size() + r.value.size();
  }
  static void encode(const kv::row& r, std::span<std::byte> into) {
    const auto length = static_cast<std::uint32_t>(r.key.size());
    std::memcpy(into.data(), &length, sizeof length);
    r.key.copy(reinterpret_cast<char*>(into.data()) + sizeof length, r.key.size());
    r.value.copy(reinterpret_cast<char*>(into.data()) + sizeof length + r.key.size(),
                 r.value.size());
  }
  /// What a client sent may be anything: check before use. The exception answers its call.
  static kv::row decode(std::span<const std::byte> bytes) {
    std::uint32_t length = 0;
    if (bytes.size() >= sizeof length) std::memcpy(&length, bytes.data(), sizeof length);
    if (bytes.size() < sizeof length || bytes.size() - sizeof length < length)
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              "a row is the length of its key, its key, its value");
    const auto* text = reinterpret_cast<const char*>(bytes.data()) + sizeof length;
    return {std::string(text, length),
            std::string(text + length, bytes.size() - sizeof length - length)};
  }
};
