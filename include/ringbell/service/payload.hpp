// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/access.hpp>
#include <ringbell/service/codec.hpp>
#include <ringbell/service/detail/frame.hpp>
#include <ringbell/service/detail/owned_message.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace ringbell {

/// The bytes of a request, of a reply, or of a part of either, and the metadata that came with
/// them. They are in memory of this process: holding a payload blocks nothing, and the sender
/// cannot change it any more.
///
/// Thread-safety: that of an ordinary value.
/// Lifetime: independent of the call, the connection and the loop. Spans of its bytes become
/// invalid when the payload is moved.
class payload {
public:
  payload() noexcept = default;
  /// Leaves `other` empty.
  payload(payload&& other) noexcept
      : content_(std::move(other.content_)),
        skipped_(std::exchange(other.skipped_, 0)),
        metadata_(std::exchange(other.metadata_, 0)) {}
  payload& operator=(payload&& other) noexcept {
    content_ = std::move(other.content_);
    skipped_ = std::exchange(other.skipped_, 0);
    metadata_ = std::exchange(other.metadata_, 0);
    return *this;
  }
  ~payload() = default;

  /// Return the bytes, the same as characters, how many there are, and whether there are none.
  std::span<const std::byte> bytes() const noexcept { return content_.bytes().subspan(skipped_); }
  std::string_view text() const noexcept { return as_text(bytes()); }
  std::size_t size() const noexcept { return content_.size() - skipped_; }
  bool empty() const noexcept { return size() == 0; }
  /// Returns the metadata that the sender added to the bytes. Parts have none.
  std::string_view metadata() const noexcept {
    return as_text(content_.bytes().subspan(skipped_ - metadata_, metadata_));
  }
  /// Returns the bytes as a `T`, decoded by its `codec`.
  /// Errors: throws what the codec throws when the bytes are not a `T`.
  template <detail::decodable T>
  T as() const {
    return codec<T>::decode(bytes());
  }

private:
  friend struct detail::access;
  // Takes the frame `f`, which was decoded from `content`.
  payload(detail::owned_message&& content, const service_frame::frame& f) noexcept
      : content_(std::move(content)),
        skipped_(content_.size() - f.payload.size()),
        metadata_(f.metadata.size()) {}

  static std::string_view as_text(std::span<const std::byte> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  detail::owned_message content_;
  std::size_t skipped_ = 0;
  std::size_t metadata_ = 0;
};

}  // namespace ringbell
