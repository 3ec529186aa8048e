// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/connection.hpp>
#include <ringbell/channel/message.hpp>
#include <ringbell/errors.hpp>

#include <cstddef>
#include <span>
#include <utility>

namespace ringbell::detail {

/// How many bytes a stream moves in one go, which takes some tens of microseconds. Then the other
/// channels and the timers have their turn. A record costs as much as so many bytes.
inline constexpr std::size_t stream_slice = std::size_t{1} << 20;
inline constexpr std::size_t record_price = 512;

/// The receiving side of a stream: the record that was received last, and how much of it was read.
///
/// Thread-safety: one thread.
/// Lifetime: it may outlive its connection.
class stream_input {
public:
  stream_input() noexcept = default;
  stream_input(stream_input&& other) noexcept
      : record_(std::move(other.record_)), read_(std::exchange(other.read_, 0)) {}
  stream_input& operator=(stream_input&& other) noexcept {
    record_ = std::move(other.record_);
    read_ = std::exchange(other.read_, 0);
    return *this;
  }

  /// The bytes that were received and not read.
  std::span<const std::byte> bytes() const noexcept { return record_.bytes().subspan(read_); }
  bool empty() const noexcept { return read_ == record_.size(); }
  /// Marks the first `n` bytes as read, or all that there are. The space of a record goes back to
  /// the peer when all of it was read.
  void consume(std::size_t n) noexcept;
  /// Receives the next record when no bytes are left.
  /// Errors: those of `endpoint::receive`. `errc::bad_peer` for an empty record, which no writer of
  /// a stream makes; it ends the connection.
  errc fill(connection& from) noexcept;
  /// Copies what there is to `to`, and goes on with the next records while there is room, up to a
  /// slice. `n` is how many bytes were read.
  /// Errors: those of `fill`, when nothing was read.
  errc read(connection& from, std::span<std::byte> to, std::size_t& n) noexcept;

private:
  message record_;
  std::size_t read_ = 0;
};

}  // namespace ringbell::detail
