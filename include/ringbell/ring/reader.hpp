// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>
#include <ringbell/ring/layout.hpp>

#include <cstddef>
#include <cstdint>

namespace ringbell::ring {

/// A record as it lies in the peer's memory: the bytes may still change under the reader's eyes,
/// their number may not.
struct record {
  const std::byte* payload = nullptr;
  std::uint32_t length = 0;
  std::uint32_t flags = 0;
  position end = 0;  // the position behind it
};

/// The receiving end of one ring: reads records from the peer's memory and says how far it has come
/// by moving its own head.
///
/// Everything read there is untrusted. Each word is loaded once into private memory and checked
/// against this side's own geometry before use: a tail may not run ahead of what this side
/// released, a record must end before the tail and the ring's end. What does not hold gives
/// `errc::bad_peer`. `errc{}` means success.
///
/// Thread-safety: one thread. Lifetime: the memory must outlive the object.
class reader {
public:
  /// `peer` is the other side's control page, `data` the `ring_bytes` (a power of two) behind it,
  /// `own` this side's page.
  reader(control_page& own, const control_page& peer, const std::byte* data,
         std::uint64_t ring_bytes) noexcept
      : own_(own), peer_(peer), data_(data), capacity_(ring_bytes) {}

  /// The next record, if one was published; pads are passed over. Errors: `errc::would_block`,
  /// `errc::end_of_stream`, `errc::bad_peer`.
  errc peek(record& out) noexcept;
  /// Steps over the record that `peek` gave. Its bytes stay valid until `release` passes them.
  void advance(const record& r) noexcept { read_ = r.end; }

  /// The position of the next record.
  position read() const noexcept { return read_; }
  position released() const noexcept { return released_; }
  position published() const noexcept { return published_; }

  /// Gives the bytes before `p` back. The peer learns of it at the next `publish`.
  void release(position p) noexcept { released_ = p; }
  /// Whether so much was given back that the peer should hear of it: a quarter of the ring, so that
  /// the line which the peer writes is not pulled over for every message.
  bool publish_due() const noexcept { return released_ - published_ >= capacity_ / 4; }
  bool dirty() const noexcept { return released_ != published_; }
  /// Tells the peer how far it may overwrite. The caller must then look whether the peer sleeps
  /// (endpoint.hpp).
  void publish() noexcept {
    published_ = released_;
    // release: this side's reads of the bytes come before the head that frees them (pairs with
    // writer::refresh_head).
    own_.rx_head.store(released_ | closed_, std::memory_order_release);
  }
  /// Tells the peer that nothing more will be read.
  void close() noexcept {
    closed_ = closed_bit;
    publish();
  }
  bool closed() const noexcept { return closed_ != 0; }

private:
  /// Loads the peer's tail, once, and believes it only if an honest peer could have got there.
  errc refresh() noexcept;
  errc skip_pad(record_header header, std::uint64_t to_end) noexcept;
  static record_header get_header(const std::byte* where) noexcept {
    // One load into private memory, so that the length that was checked is the length that is used.
    // (atomic_ref has no const form yet; a load does not write.)
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
    // Only a record that began when everything before it was consumed, and known to be, can be in
    // the express slot.
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
