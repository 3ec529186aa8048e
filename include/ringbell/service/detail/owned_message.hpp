// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/message.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace ringbell::detail {

/// The bytes of a received message, in memory of this process. So the ring's space goes back at
/// once, and the peer cannot change what was checked. Short messages need no allocation. A long
/// message that came in fragments is in memory of this process already, and is taken over.
class owned_message {
public:
  owned_message() noexcept = default;
  owned_message(owned_message&& other) noexcept
      : size_(std::exchange(other.size_, 0)),
        short_(other.short_),
        long_(std::move(other.long_)),
        joined_(std::move(other.joined_)) {}
  owned_message& operator=(owned_message&& other) noexcept {
    size_ = std::exchange(other.size_, 0);
    short_ = other.short_;
    long_ = std::move(other.long_);
    joined_ = std::move(other.joined_);
    return *this;
  }
  ~owned_message() = default;
  /// Takes the bytes of `m`, which is released in any case.
  /// Errors: throws `std::bad_alloc`.
  explicit owned_message(message m) : size_(m.size()) {
    if (m.owns_bytes()) {
      joined_ = std::move(m);
    } else {
      *this = owned_message(m.bytes());
    }
  }

  /// Copies the bytes.
  /// Errors: throws `std::bad_alloc`.
  explicit owned_message(std::span<const std::byte> bytes) : size_(bytes.size()) {
    if (size_ > short_.size()) long_ = std::make_unique_for_overwrite<std::byte[]>(size_);
    if (size_ != 0) std::memcpy(long_ ? long_.get() : short_.data(), bytes.data(), size_);
  }

  /// Returns the bytes. Those of a short message lie in this object and move with it.
  std::span<const std::byte> bytes() const noexcept {
    if (long_) return {long_.get(), size_};
    return joined_.owns_bytes() ? joined_.bytes() : std::span(short_).first(size_);
  }
  std::size_t size() const noexcept { return size_; }

private:
  std::size_t size_ = 0;
  std::array<std::byte, 96> short_{};
  std::unique_ptr<std::byte[]> long_;
  message joined_;
};

}  // namespace ringbell::detail
