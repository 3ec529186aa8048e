// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>
#include <ringbell/ring/layout.hpp>

#include <cstddef>
#include <cstdint>

namespace ringbell::ring {

/// A record in the peer's memory. The bytes may still change while they are read, but their number
/// may not.
struct record {
  const std::byte* payload = nullptr;
  std::uint32_t length = 0;
  std::uint32_t flags = 0;
  position end = 0;  // the position after the record
};

/// The receiving end of one ring. It reads records from the peer's memory, and moves its own head
/// to show how far it has come.
///
/// Everything in the peer's memory is untrusted. Each word is loaded once into private memory and
/// checked against this side's own geometry before use: a tail may not be further ahead than this
/// side has released, and a record must end before the tail and before the ring's end.
///
/// Errors: `errc{}` means success; `errc::bad_peer` when a check fails.
/// Thread-safety: one thread.
/// Lifetime: the memory must outlive the object.
class reader {
public:
  /// `peer` is the other side's control page, `data` the `ring_bytes` bytes (a power of two) that
  /// follow it, and `own` this side's page.
  reader(control_page& own, const control_page& peer, const std::byte* data,
         std::uint64_t ring_bytes) noexcept
      : own_(own), peer_(peer), data_(data), capacity_(ring_bytes) {}

  /// Finds the next published record, and skips pads.
  /// Errors: `errc::would_block`, `errc::end_of_stream`, `errc::bad_peer`.
  errc peek(record& out) noexcept;
  /// Moves past the record that `peek` returned. Its bytes stay valid until `release` passes them.
  void advance(const record& r) noexcept { read_ = r.end; }

  /// The position of the next record.
  position read() const noexcept { return read_; }
  position released() const noexcept { return released_; }
  position published() const noexcept { return published_; }

  /// Gives the bytes before `p` back. The peer sees that after the next `publish`.
  void release(position p) noexcept { released_ = p; }
  /// Whether enough was given back to publish it: a quarter of the ring. So not every message
  /// invalidates the peer's copy of the cache line with the head.
  bool publish_due() const noexcept { return released_ - published_ >= capacity_ / 4; }
  bool dirty() const noexcept { return released_ != published_; }
  /// Shows the peer how far it may overwrite. The caller must then check whether the peer sleeps
  /// (endpoint.hpp).
  void publish() noexcept {
    published_ = released_;
    // release: this side's reads of the bytes come before the head that frees them (pairs with
    // writer::refresh_head).
    own_.rx_head.store(released_ | closed_, std::memory_order_release);
  }
  /// Shows the peer that nothing more will be read.
  void close() noexcept {
    closed_ = closed_bit;
    publish();
  }
  bool closed() const noexcept { return closed_ != 0; }

private:
  /// Loads the peer's tail, once, and accepts it only if an honest peer could have reached it.
  errc refresh() noexcept;
  errc skip_pad(record_header header, std::uint64_t to_end) noexcept;
  static record_header get_header(const std::byte* where) noexcept {
    // One load into private memory, so that the length that was checked is the length that is used.
    // (C++20 has no atomic_ref to a const object, but a load does not write.)
    auto& word = *static_cast<std::uint64_t*>(static_cast<void*>(const_cast<std::byte*>(where)));
    return record_header::from(
        std::atomic_ref<std::uint64_t>(word).load(std::memory_order_relaxed));
  }

  control_page& own_;
  const control_page& peer_;
  const std::byte* data_;
  std::uint64_t capacity_;
  position read_ = 0;
  position peer_tail_ = 0;
  position released_ = 0;
  position published_ = 0;
  position closed_ = 0;
};

inline errc reader::refresh() noexcept {
  // acquire: the records before this tail are complete (pairs with writer::publish).
  const position word = peer_.tx_tail.load(std::memory_order_acquire);
  const position tail = word & position_mask;
  if ((word & ~position_mask & ~closed_bit) != 0 || tail - published_ > capacity_ ||
      tail - published_ < read_ - published_)
    return errc::bad_peer;
  peer_tail_ = tail;
  if (tail != read_) return errc{};
  return word & closed_bit ? errc::end_of_stream : errc::would_block;
}

inline errc reader::peek(record& out) noexcept {
  for (;;) {
    if (read_ == peer_tail_)
      if (const errc e = refresh(); e != errc{}) return e;

    const std::uint64_t available = peer_tail_ - read_;
    // A record can be in the express slot only if everything before it was consumed and published
    // as consumed when the record began.
    if (read_ == published_ && peer_.express_position.load(std::memory_order_relaxed) == read_) {
      const record_header header = get_header(peer_.express.data());
      if (header.length > max_express || record_bytes(header.length) > available ||
          (header.flags & ~record_header::known) != 0 || (header.flags & record_header::pad) != 0)
        return errc::bad_peer;
      out = {peer_.express.data() + header_bytes, header.length, header.flags,
             read_ + record_bytes(header.length)};
      return errc{};
    }

    const std::uint64_t offset = read_ & (capacity_ - 1);
    const std::uint64_t to_end = capacity_ - offset;
    const record_header header = get_header(data_ + offset);
    const std::uint64_t total = record_bytes(header.length);
    if (total > available || total > to_end || (header.flags & ~record_header::known) != 0)
      return errc::bad_peer;
    if ((header.flags & record_header::pad) == 0) {
      out = {data_ + offset + header_bytes, header.length, header.flags, read_ + total};
      return errc{};
    }
    if (const errc e = skip_pad(header, to_end); e != errc{}) return e;
  }
}

}  // namespace ringbell::ring
