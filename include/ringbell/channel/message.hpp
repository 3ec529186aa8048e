// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/connection.hpp>
#include <ringbell/detail/access.hpp>

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace ringbell {

/// A received message: a lease on a part of the peer's ring, without a copy.
///
/// The bytes lie in memory that the peer writes. An honest peer leaves them alone until they are
/// released; a hostile peer may change them while you read them. Where that matters, copy the bytes
/// first and check the copy, or receive with `recv_into`, which copies them. The number of bytes
/// cannot change.
///
/// Several messages may be held at once, and released in any order. The peer gets space back up to
/// the oldest message that is held. Hold no message while receiving one that is longer than the
/// ring: the space of its fragments could not be given back, and it would never be complete.
///
/// Thread-safety: the thread of its channel.
/// Lifetime: destruction, or `release`, gives the space back. A message may outlive its channel.
class message {
public:
  message() noexcept = default;
  message(message&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        joined_(std::move(other.joined_)),
        lease_(std::move(other.lease_)) {}
  message& operator=(message&& other) noexcept {
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    joined_ = std::move(other.joined_);
    lease_ = std::move(other.lease_);
    return *this;
  }
  ~message() = default;

  /// Return the bytes, where they begin, how many there are, and whether there are none.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  /// Returns the bytes as characters.
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }

  /// Returns whether the bytes lie in memory of this process, as they do for a message that came in
  /// fragments. Such a message takes no space in the ring, and the peer cannot change it.
  bool owns_bytes() const noexcept { return joined_ != nullptr; }

  /// Gives the space back now. It is fastest to release a message before replying to it, because
  /// the reply then tells the peer of the space as well.
  void release() noexcept { *this = message(); }

private:
  friend struct detail::access;
  // Takes over what `endpoint::receive` gave, and its lease on the ring.
  message(detail::connection& from, ring::message_view&& view) noexcept
      : data_(view.data),
        size_(view.size),
        joined_(std::move(view.joined)),
        lease_(joined_ ? nullptr : &from, view.begin) {}

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::unique_ptr<std::byte[]> joined_;
  detail::lease lease_;
};

namespace detail {

/// Receives the next message into `buffer`, and sets `size` to its length.
/// Errors: those of `endpoint::receive`. `errc::message_too_large` when the message does not fit
/// the buffer; it can then still be received.
inline errc receive_into(connection& from, std::span<std::byte> buffer,
                         std::size_t& size) noexcept {
  ring::message_view view;
  if (const errc e = from.ring().receive(view, buffer.size()); e != errc{}) return e;
  size = view.size;
  if (size != 0) std::memcpy(buffer.data(), view.data, size);
  if (!view.joined) from.give_back();
  return errc{};
}

}  // namespace detail

}  // namespace ringbell
