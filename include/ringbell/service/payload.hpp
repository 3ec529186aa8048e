// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/service/codec.hpp>
#include <ringbell/service/detail/frame.hpp>
#include <ringbell/service/detail/owned_message.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace ringbell {

/// The bytes of a request, of a reply, or of a part of either, and the metadata that came with
/// them. In memory of this process: holding it holds up nobody, and the sender cannot change it any
/// more.
///
/// Thread-safety: as an ordinary value's. Lifetime: independent of the call, the connection and the
/// loop. Spans of its bytes end when it is moved.
class payload {
public:
  payload() noexcept = default;
  /// Leaves the other one empty.
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

  std::span<const std::byte> bytes() const noexcept { return content_.bytes().subspan(skipped_); }
  std::string_view text() const noexcept { return as_text(bytes()); }
  std::size_t size() const noexcept { return content_.size() - skipped_; }
  bool empty() const noexcept { return size() == 0; }
  /// What the sender put beside the bytes; parts have none.
  std::string_view metadata() const noexcept {
    return as_text(content_.bytes().subspan(skipped_ - metadata_, metadata_));
  }
  /// The bytes as a `T`, by its `codec`. Throws what that throws when they are none.
  template <detail::decodable T>
  T as() const {
    return codec<T>::decode(bytes());
  }

  /// For the library's own use: takes the frame `f`, which was decoded from `content`.
  payload(detail::owned_message&& content, const service_frame::frame& f) noexcept
      : content_(std::move(content)),
        skipped_(content_.size() - f.payload.size()),
        metadata_(f.metadata.size()) {}

private:
  static std::string_view as_text(std::span<const std::byte> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  detail::owned_message content_;
  std::size_t skipped_ = 0;
  std::size_t metadata_ = 0;
};

}  // namespace ringbell
