// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/connection.hpp>

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace ringbell {

/// A received message: a lease on the peer's ring, without a copy. Destruction, or `release`, gives
/// the space back.
///
/// The bytes lie in memory that the peer writes. An honest peer leaves them alone until the
/// release; a hostile one may change them while you look. Where that matters, copy first, then
/// check (or receive with `recv_into`, which does so). The number of bytes cannot change.
///
/// Several may be held at once, and released in any order; the peer gets space back up to the
/// oldest one held. So hold none while receiving a message longer than the ring: its fragments
/// could not be given back, and it would never be complete. A message may outlive its channel.
/// Thread-safety: belongs to its channel's thread.
class message {
public:
  message() noexcept = default;
  message(message&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        joined_(std::move(other.joined_)),
        loan_(std::move(other.loan_)) {}
  message& operator=(message&& other) noexcept {
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    joined_ = std::move(other.joined_);
    loan_ = std::move(other.loan_);
    return *this;
  }
  ~message() = default;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  /// The bytes as characters.
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }

  /// Whether the bytes lie in memory of this process, as those of a message do that came in
  /// fragments: no space of the ring, and nothing that the peer could change.
  bool owns_bytes() const noexcept { return joined_ != nullptr; }

  /// Gives the space back now. To release before replying is fastest: the reply then carries the
  /// news.
  void release() noexcept { *this = message(); }

  /// For front ends: takes the loan of what `endpoint::receive` gave.
  message(detail::connection& from, ring::message_view&& view) noexcept
      : data_(view.data),
        size_(view.size),
        joined_(std::move(view.joined)),
        loan_(joined_ ? nullptr : &from, view.begin) {}

private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::unique_ptr<std::byte[]> joined_;
  detail::loan loan_;
};

namespace detail {

/// Receives the next message into `buffer`; `size` becomes its length. Errors: those of
/// `endpoint::receive`, and `errc::message_too_large` when it does not fit: it is then still there.
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
