// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/connection.hpp>
#include <ringbell/detail/access.hpp>
#include <ringbell/detail/intrusive_ptr.hpp>

#include <cstddef>
#include <span>
#include <utility>

namespace ringbell {

/// Space in this side's ring for one message, which is written in place. `commit` sends the
/// message. A channel has one claim at a time; meanwhile other sends fail with `errc::busy`.
///
/// Thread-safety: the thread of its channel.
/// Lifetime: destruction without `commit` gives the space back. A claim may outlive its channel;
/// `commit` then does nothing.
class claim {
public:
  claim() noexcept = default;
  claim(claim&& other) noexcept
      : of_(std::move(other.of_)), bytes_(std::exchange(other.bytes_, {})) {}
  claim& operator=(claim&& other) noexcept {
    if (this != &other) {
      abandon();
      of_ = std::move(other.of_);
      bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
  }
  ~claim() { abandon(); }

  /// Returns the space for the message: as many bytes as were asked for.
  std::span<std::byte> bytes() const noexcept { return bytes_; }
  explicit operator bool() const noexcept { return static_cast<bool>(of_); }

  /// Sends all the bytes, or the first `size` of them, which is at most what was claimed. The claim
  /// is empty afterwards.
  void commit() noexcept { commit(bytes_.size()); }
  void commit(std::size_t size) noexcept {
    if (const auto of = std::move(of_)) of->commit(size < bytes_.size() ? size : bytes_.size());
    bytes_ = {};
  }
  /// Gives the space back. Nothing is sent.
  void abandon() noexcept {
    if (const auto of = std::move(of_)) of->abandon();
    bytes_ = {};
  }

private:
  friend struct detail::access;
  // Takes over what `endpoint::claim` gave.
  claim(detail::connection& of, std::span<std::byte> bytes) noexcept : of_(of), bytes_(bytes) {}

  detail::intrusive_ptr<detail::connection> of_;
  std::span<std::byte> bytes_;
};

}  // namespace ringbell
