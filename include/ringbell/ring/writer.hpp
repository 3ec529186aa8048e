// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>
#include <ringbell/ring/layout.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ringbell::ring {

/// The sending end of one ring. It writes records into memory that this process owns, and moves its
/// tail to publish them. It makes no system call and does not wait.
///
/// There are two tails: `tail()` is the end of what was committed, `published()` the end of what
/// the peer can see. Records that are committed but not published cost no fence. The peer's head is
/// untrusted: it is loaded once, must be between the last one and `published()`, and is then kept
/// privately.
///
/// Errors: `errc{}` means success; `errc::would_block` when a record does not fit now.
/// Thread-safety: one thread.
/// Lifetime: the memory must outlive the object.
class writer {
public:
  /// `own` is this side's control page, `data` the `ring_bytes` bytes (a power of two) that follow
  /// it, and `peer` the other side's page.
  writer(control_page& own, std::byte* data, std::uint64_t ring_bytes,
         const control_page& peer) noexcept
      : own_(own), data_(data), capacity_(ring_bytes), peer_(peer) {}

  /// The longest payload of one record: three eighths of the ring. A record and the pad before it
  /// then take less than three quarters. A receiver that has consumed everything holds back less
  /// than a quarter (reader::publish_due), so it never keeps a sender waiting.
  std::size_t max_record() const noexcept {
    return narrowed<std::size_t>(capacity_ / 8 * 3 - header_bytes);
  }
  std::uint64_t capacity() const noexcept { return capacity_; }
  position tail() const noexcept { return tail_; }
  position published() const noexcept { return published_; }
  /// The peer's head as this side last saw it.
  position known_head() const noexcept { return peer_head_; }
  bool claimed() const noexcept { return claimed_ != nullptr; }

  /// Claims space for one record of up to `length` bytes (at most `max_record()`). The record is
  /// written in place and then committed by `commit`, or given up by `abandon`. One claim at a
  /// time.
  /// Errors: `errc::would_block`, `errc::peer_closed`, `errc::bad_peer`.
  errc claim(std::size_t length, std::byte*& payload) noexcept;

  /// Ends the claim, and makes its first `length` bytes one record. The peer sees it after
  /// `publish`.
  void commit(std::size_t length, std::uint32_t flags = 0) noexcept;
  void abandon() noexcept { claimed_ = nullptr; }

  /// Makes all committed records visible. The caller must then check whether the peer sleeps
  /// (endpoint.hpp).
  void publish() noexcept {
    published_ = tail_;
    // release: the records and the express slot become visible before the tail that covers them
    // (pairs with reader::refresh).
    own_.tx_tail.store(tail_ | closed_, std::memory_order_release);
  }
  /// Publishes everything that was committed, and that nothing follows.
  void close() noexcept {
    closed_ = closed_bit;
    publish();
  }
  bool closed() const noexcept { return closed_ != 0; }

  /// Whether a record of `length` bytes fits now. Loads the peer's head when the known head is not
  /// sufficient.
  errc has_space(std::size_t length) noexcept { return ensure_space(placement(length).needed); }
  /// The index at which to park when `length` bytes do not fit: there is space for them once the
  /// peer's head is beyond it.
  position space_wake_index(std::size_t length) const noexcept {
    return tail_ + placement(length).needed - capacity_ - 1;
  }

  /// Sets `fits` to the length of the longest record, at most `length`, that fits now. A record
  /// that ends at the ring's end and has at least `enough` bytes is preferred to a longer one that
  /// needs a pad. The result may be less than `enough`, and is 0 when nothing fits.
  /// Errors: those of `claim`, but for `errc::would_block`.
  errc fitting(std::size_t length, std::size_t enough, std::size_t& fits) noexcept;

  /// The best length of the next fragment of a message. It is at most a quarter of the ring, so
  /// that both sides work at the same time. It does not reach beyond the ring's end, so that no pad
  /// is needed, unless fewer than four words are left there, which are not worth a fragment.
  std::size_t fragment_length(std::uint64_t remaining) const noexcept {
    const std::uint64_t to_end = capacity_ - (tail_ & (capacity_ - 1));
    std::uint64_t length = (std::min)(remaining, capacity_ / 4 - header_bytes);
    if (to_end >= 4 * header_bytes) length = (std::min)(length, to_end - header_bytes);
    return narrowed<std::size_t>(length);
  }

private:
  struct place {
    std::uint64_t pad;     // bytes at the ring's end that the record must not straddle
    std::uint64_t needed;  // bytes of the pad and the record
  };
  place placement(std::size_t length) const noexcept {
    const std::uint64_t total = record_bytes(length);
    const std::uint64_t to_end = capacity_ - (tail_ & (capacity_ - 1));
    const std::uint64_t pad = to_end < total ? to_end : 0;
    return {pad, pad + total};
  }
  errc ensure_space(std::uint64_t needed) noexcept {
    if (capacity_ - (tail_ - peer_head_) >= needed) return errc{};
    if (const errc e = refresh_head(); e != errc{}) return e;
    return capacity_ - (tail_ - peer_head_) >= needed ? errc{} : errc::would_block;
  }
  /// Loads the peer's head, once, and accepts it only if an honest peer could have reached it.
  errc refresh_head() noexcept;
  std::byte* at(position p) noexcept { return data_ + (p & (capacity_ - 1)); }
  static void put_header(std::byte* where, record_header header) noexcept {
    // relaxed: the tail publishes it. It is an atomic store because a peer that breaks the protocol
    // may already be reading it.
    std::atomic_ref<std::uint64_t>(*static_cast<std::uint64_t*>(static_cast<void*>(where)))
        .store(header.word(), std::memory_order_relaxed);
  }

  control_page& own_;
  std::byte* data_;
  std::uint64_t capacity_;
  const control_page& peer_;
  position tail_ = 0;
  position published_ = 0;
  position peer_head_ = 0;
  position closed_ = 0;
  std::byte* claimed_ = nullptr;  // the payload of the claim; its header is just before it
  std::uint64_t claimed_pad_ = 0;
};

inline errc writer::claim(std::size_t length, std::byte*& payload) noexcept {
  const bool fits_express = length <= max_express;
  if (fits_express && peer_head_ != tail_)
    if (const errc e = refresh_head(); e != errc{}) return e;
  // The peer has consumed everything, including the last use of the express slot, so the slot is
  // free.
  if (fits_express && peer_head_ == tail_) {
    claimed_ = own_.express.data() + header_bytes;
    claimed_pad_ = 0;
  } else {
    const place where = placement(length);
    if (const errc e = ensure_space(where.needed); e != errc{}) return e;
    claimed_ = at(tail_ + where.pad) + header_bytes;
    claimed_pad_ = where.pad;
  }
  payload = claimed_;
  return errc{};
}

inline errc writer::fitting(std::size_t length, std::size_t enough, std::size_t& fits) noexcept {
  fits = (std::min)(length, max_record());
  const errc e = has_space(fits);
  if (e == errc{}) {
    // All of it fits. If it needs a pad, a shorter one may not.
    const std::uint64_t to_end = capacity_ - (tail_ & (capacity_ - 1));
    if (placement(fits).pad >= header_bytes + enough)
      fits = narrowed<std::size_t>(to_end - header_bytes);
    return e;
  }
  if (e != errc::would_block) return e;
  const std::uint64_t free = capacity_ - (tail_ - peer_head_);
  const std::uint64_t to_end = capacity_ - (tail_ & (capacity_ - 1));
  const auto payload = [](std::uint64_t bytes) {
    return bytes > header_bytes ? narrowed<std::size_t>(bytes - header_bytes) : std::size_t{0};
  };
  const std::size_t before = payload((std::min)(free, to_end));
  const std::size_t after = free > to_end ? payload(free - to_end) : 0;
  fits = (std::min)(fits, before >= enough ? before : (std::max)(before, after));
  return errc{};
}

inline void writer::commit(std::size_t length, std::uint32_t flags) noexcept {
  if (claimed_ == own_.express.data() + header_bytes) {
    // relaxed: the tail publishes it.
    own_.express_position.store(tail_, std::memory_order_relaxed);
  } else if (claimed_pad_ != 0) {
    put_header(at(tail_),
               {static_cast<std::uint32_t>(claimed_pad_ - header_bytes), record_header::pad});
    tail_ += claimed_pad_;
  }
  put_header(claimed_ - header_bytes, {static_cast<std::uint32_t>(length), flags});
  tail_ += record_bytes(length);
  claimed_ = nullptr;
}

inline errc writer::refresh_head() noexcept {
  // acquire: the peer has finished reading the bytes before its head, so they may be overwritten
  // (pairs with reader::publish).
  const position word = peer_.rx_head.load(std::memory_order_acquire);
  if (word & closed_bit) return errc::peer_closed;
  if ((word & ~position_mask) != 0 || word - peer_head_ > published_ - peer_head_)
    return errc::bad_peer;
  peer_head_ = word;
  return errc{};
}

}  // namespace ringbell::ring
