// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/kept.hpp>
#include <ringbell/service/codec.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

namespace ringbell::detail {

/// Bytes to be sent. They are written where they are needed: into the ring, or into memory when
/// they are too many for one record.
class outgoing {
public:
  outgoing() = default;
  outgoing(const outgoing&) = default;
  outgoing& operator=(const outgoing&) = default;
  virtual ~outgoing() = default;
  virtual std::size_t size() const = 0;
  /// Writes the bytes. `into` has exactly `size()` bytes.
  virtual void write(std::span<std::byte> into) const = 0;
  /// Returns the bytes if they lie in memory in the form in which they are sent, else none.
  virtual std::span<const std::byte> bytes() const noexcept { return {}; }
};

/// A value that the caller keeps valid.
template <class T>
class borrowed final : public outgoing {
public:
  explicit borrowed(const T& value) noexcept : value_(&value) {}
  std::size_t size() const override { return codec<T>::size(*value_); }
  void write(std::span<std::byte> into) const override { codec<T>::encode(*value_, into); }

private:
  const T* value_;
};

/// Bytes that the caller keeps valid.
template <>
class borrowed<std::span<const std::byte>> final : public outgoing {
public:
  explicit borrowed(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  std::size_t size() const override { return bytes_.size(); }
  void write(std::span<std::byte> into) const override {
    if (!bytes_.empty()) std::memcpy(into.data(), bytes_.data(), bytes_.size());
  }
  std::span<const std::byte> bytes() const noexcept override { return bytes_; }

private:
  std::span<const std::byte> bytes_;
};
using borrowed_bytes = borrowed<std::span<const std::byte>>;

/// A value that this object keeps.
template <class T>
class owned final : public outgoing {
public:
  explicit owned(T value) : value_(std::move(value)) {}
  std::size_t size() const override { return codec<T>::size(value_); }
  void write(std::span<std::byte> into) const override { codec<T>::encode(value_, into); }
  std::span<const std::byte> bytes() const noexcept override {
    if constexpr (std::is_base_of_v<bytes_codec<T>, codec<T>>)
      return std::as_bytes(std::span(value_.data(), value_.size()));
    else
      return {};
  }

private:
  T value_;
};

/// Bytes that this object keeps.
template <owns_bytes Owner>
class owned_bytes final : public outgoing {
public:
  explicit owned_bytes(Owner owner) : owner_(std::move(owner)) {}
  std::size_t size() const override { return bytes().size(); }
  void write(std::span<std::byte> into) const override {
    if (!bytes().empty()) std::memcpy(into.data(), bytes().data(), bytes().size());
  }
  std::span<const std::byte> bytes() const noexcept override { return bytes_of(owner_); }

private:
  Owner owner_;
};

/// A temporary, given by `T&&`, for which there is a codec.
template <class T>
concept temporary_value = !std::is_reference_v<T> && encodable<std::remove_const_t<T>>;

}  // namespace ringbell::detail
