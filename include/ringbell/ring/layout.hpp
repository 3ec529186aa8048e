// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

/// The layout of a region's memory; docs/protocol.md is the specification. A region is one control
/// page, followed by the data bytes of one ring. Every word has one writer, the region's owner; the
/// peer maps the same memory read-only.
namespace ringbell::ring {

/// A position in the byte stream. Positions are free-running multiples of 8. In the published words
/// the low bits are flags.
using position = std::uint64_t;

/// Two cache lines, which is what an adjacent-line prefetcher fetches.
inline constexpr std::size_t line_bytes = 128;
inline constexpr std::size_t control_bytes = 4096;         // the data ring begins here
inline constexpr std::uint32_t region_magic = 0x31524252;  // "RBR1"
inline constexpr std::uint32_t layout_version = 1;

/// A wake index, or express position, that no stream reaches.
inline constexpr position never = ~position{0};
/// In tx_tail: nothing follows. In rx_head: nothing more is read.
inline constexpr position closed_bit = 1;
inline constexpr position position_mask = ~position{7};

inline constexpr std::uint64_t min_ring_bytes = 4096;
inline constexpr std::uint64_t max_ring_bytes = std::uint64_t{1} << 30;

/// Converts a number to a type that can hold it. On some systems both are the same type.
template <class To, class From>
constexpr To narrowed(From number) noexcept {
  if constexpr (std::is_same_v<To, From>)
    return number;
  else
    return static_cast<To>(number);
}

/// The header before every record: the length of the payload, and flags. It is one aligned word,
/// which is written and read as a whole.
struct record_header {
  std::uint32_t length = 0;
  std::uint32_t flags = 0;

  static constexpr std::uint32_t more = 1;  // this is a fragment; the rest of its message follows
  static constexpr std::uint32_t pad = 2;   // this is not a message: it fills the end of the ring
  // This is not a message: the fragments before it are void.
  static constexpr std::uint32_t abandon = 4;
  static constexpr std::uint32_t known = more | pad | abandon;

  constexpr std::uint64_t word() const noexcept { return std::uint64_t{flags} << 32 | length; }
  static constexpr record_header from(std::uint64_t word) noexcept {
    return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
  }
};
inline constexpr std::size_t header_bytes = 8;

/// The bytes of the stream that a record with `length` bytes of payload occupies.
constexpr std::uint64_t record_bytes(std::uint64_t length) noexcept {
  return header_bytes + ((length + 7) & ~std::uint64_t{7});
}

/// The longest payload that fits the express slot.
inline constexpr std::size_t max_express = 96;

/// Counters of one side, from the opening of the channel on. Only the owner writes them, so an
/// atomic addition is not needed.
struct alignas(line_bytes) channel_counters {
  std::atomic<std::uint64_t> messages_sent;
  std::atomic<std::uint64_t> bytes_sent;
  std::atomic<std::uint64_t> messages_received;
  std::atomic<std::uint64_t> bytes_received;
  std::atomic<std::uint64_t> parks;             ///< how often this side slept on this channel
  std::atomic<std::uint64_t> bells_rung;        ///< system calls made to wake the peer
  std::atomic<std::uint64_t> bells_suppressed;  ///< publications that found the peer awake
  std::atomic<std::uint64_t> spins_paid;        ///< waits that ended while polling, before sleeping
  std::atomic<std::uint64_t> ring_full_stalls;  ///< sends that found no space
};

/// Adds to a counter that only this thread writes.
inline void count(std::atomic<std::uint64_t>& counter, std::uint64_t n = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

struct alignas(line_bytes) control_page {
  // The hot line: everything that a small message needs, so that only one line moves between the
  // cores.
  std::atomic<position> tx_tail{0};
  std::atomic<position> rx_head{0};
  std::atomic<position> express_position{never};
  std::array<std::byte, header_bytes + max_express> express{};

  // The peer reads this line after each publication; it is written only when this side parks.
  alignas(line_bytes) std::atomic<position> data_wake_at{never};
  std::atomic<position> space_wake_at{never};
  /// The processor to which this side was bound at its last park; -1 when it may run on several.
  std::atomic<std::int64_t> only_cpu{-1};

  // These never change once the region was sent to the peer.
  alignas(line_bytes) std::uint32_t magic = region_magic;
  std::uint32_t version = layout_version;
  std::uint64_t ring_bytes = 0;
  std::uint64_t process_id = 0;
  std::uint64_t start_time = 0;  // nanoseconds of the steady clock when the channel was opened

  channel_counters counters{};
};

static_assert(std::atomic<position>::is_always_lock_free && sizeof(std::atomic<position>) == 8);
static_assert(offsetof(control_page, tx_tail) == 0);
static_assert(offsetof(control_page, rx_head) == 8);
static_assert(offsetof(control_page, express_position) == 16);
static_assert(offsetof(control_page, express) == 24);
static_assert(offsetof(control_page, data_wake_at) == 128);
static_assert(offsetof(control_page, space_wake_at) == 136);
static_assert(offsetof(control_page, only_cpu) == 144);
static_assert(offsetof(control_page, magic) == 256);
static_assert(offsetof(control_page, version) == 260);
static_assert(offsetof(control_page, ring_bytes) == 264);
static_assert(offsetof(control_page, process_id) == 272);
static_assert(offsetof(control_page, start_time) == 280);
static_assert(offsetof(control_page, counters) == 384);
static_assert(sizeof(control_page) <= control_bytes);

}  // namespace ringbell::ring
