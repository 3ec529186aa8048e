// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/channel_operations.hpp>
#include <ringbell/channel/detail/stream_input.hpp>

#include <array>
#include <cstddef>
#include <span>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// The buffers of one read or write. An operation that may end after some of the bytes needs no
/// more than the first 16 of a sequence.
template <class Byte>
class stream_buffers {
public:
  using piece = std::span<Byte>;
  stream_buffers() noexcept = default;
  template <class Buffer, class Buffers>
  static stream_buffers of(const Buffers& buffers) noexcept {
    stream_buffers all;
    const auto end = net::buffer_sequence_end(buffers);
    for (auto it = net::buffer_sequence_begin(buffers); it != end; ++it) {
      const Buffer b(*it);
      if (b.size() == 0) continue;
      if (all.count_ == most) break;
      all.pieces_[all.count_++] = piece(static_cast<Byte*>(b.data()), b.size());
      all.size_ += b.size();
    }
    return all;
  }
  std::span<const piece> pieces() const noexcept { return {pieces_.data(), count_}; }
  /// The number of bytes.
  std::size_t size() const noexcept { return size_; }

private:
  static constexpr std::size_t most = 16;
  std::array<piece, most> pieces_;
  std::size_t count_ = 0;
  std::size_t size_ = 0;
};
using read_buffers = stream_buffers<std::byte>;
using write_buffers = stream_buffers<const std::byte>;

/// What the operations on a stream work with. The connection is null when the stream is not open.
struct stream_parts {
  asio_connection* connection;
  stream_input* input;
};

/// Reads the bytes that are there into the buffers, without waiting.
/// Errors: as `stream_input::read`.
errc read_now(const stream_parts& s, const read_buffers& to, std::size_t& n) noexcept;
/// Writes as many bytes of the buffers as fit now, without waiting.
/// Errors: as `endpoint::send_some`.
errc write_now(asio_connection& c, const write_buffers& from, std::size_t& n) noexcept;

// The same, but they block the thread while there is nothing to read, or no room to write.
std::size_t read_blocking(const stream_parts& s, const read_buffers& to, net_error_code& error);
std::size_t write_blocking(const stream_parts& s, const write_buffers& from, net_error_code& error);

class read_some_operation : public channel_operation<read_some_operation> {
public:
  using value_type = std::size_t;
  std::size_t take() noexcept { return outcome() ? 0 : size_; }

protected:
  read_some_operation(stream_parts s, const read_buffers& to) noexcept
      : channel_operation(s.connection, towards_us), input_(s.input), to_(to) {}

private:
  friend channel_operation;
  errc attempt() noexcept { return read_now({&connection(), input_}, to_, size_); }
  bool look() noexcept { return connection().ring().can_receive(); }

  stream_input* input_;
  read_buffers to_;
  std::size_t size_ = 0;
};

class read_view_operation : public channel_operation<read_view_operation> {
public:
  using value_type = net::const_buffer;
  net::const_buffer take() noexcept {
    if (outcome()) return {};
    return {input_->bytes().data(), input_->bytes().size()};
  }

protected:
  explicit read_view_operation(stream_parts s) noexcept
      : channel_operation(s.connection, towards_us), input_(s.input) {}

private:
  friend channel_operation;
  errc attempt() noexcept { return input_->fill(connection()); }
  bool look() noexcept { return connection().ring().can_receive(); }

  stream_input* input_;
};

class write_some_operation : public channel_operation<write_some_operation> {
public:
  using value_type = std::size_t;
  std::size_t take() noexcept { return outcome() ? 0 : size_; }

protected:
  write_some_operation(stream_parts s, const write_buffers& from) noexcept
      : channel_operation(s.connection, towards_peer), from_(from) {}

private:
  friend channel_operation;
  errc attempt() noexcept { return write_now(connection(), from_, size_); }
  bool look() noexcept { return connection().ring().can_send(to_send()); }
  std::size_t to_send() const noexcept { return connection().ring().stream_unit(from_.size()); }

  write_buffers from_;
  std::size_t size_ = 0;
};

extern template class channel_operation<read_some_operation>;
extern template class channel_operation<read_view_operation>;
extern template class channel_operation<write_some_operation>;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
