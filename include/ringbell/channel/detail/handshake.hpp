// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/record_kind.hpp>
#include <ringbell/errors.hpp>
#include <ringbell/result.hpp>
#include <ringbell/sys/bell.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <variant>

/// The handshake on the control socket: the format of the frames, and the checks that come before
/// anything else. There is no I/O here. docs/protocol.md specifies the wire format.
///
/// client -> server  HELLO    versions, ring sizes, limits, bells;
///                            handles: its region, its eventfd when it offers to wait on that kind
/// server -> client  WELCOME  version, ring size, limits, the bell of each direction;
///                            handles: its region, its eventfd when the client rings that kind
///                or REFUSED  why, and the limit that was exceeded
///
/// Integers are little-endian. A frame is a header of 8 bytes (magic, type, size), followed by a
/// body whose size is fixed for its type. Nothing here allocates or throws.
///
/// Thread-safety: functions from any thread, an object from one thread at a time.
namespace ringbell::handshake {

inline constexpr std::uint32_t magic = 0x31424252;  // "RBB1"
inline constexpr std::uint16_t oldest_version = 1;
inline constexpr std::uint16_t protocol_version = 1;
inline constexpr std::size_t header_size = 8;
/// The longest frame, in bytes (a HELLO). A reader never needs more buffer than this.
inline constexpr std::size_t max_frame = 48;
/// The length, in bytes, of a WELCOME and of a REFUSED.
inline constexpr std::size_t answer_size = 32;

struct hello {
  std::uint16_t version_min = oldest_version;
  std::uint16_t version_max = protocol_version;
  record_kind kind = record_kind::messages;
  sys::bell_set can_wait_on = 0;  ///< bells that can wake the client; see `usable_between`
  sys::bell_set can_ring = 0;     ///< bells that the client can ring; see `usable_between`
  /// Data bytes of the client's own ring. The region is longer by the control page.
  std::uint64_t ring_bytes = 0;
  /// The size that the client wishes for the server's ring, in bytes: a power of two, or 0 when
  /// the server may choose.
  std::uint64_t wanted_ring_bytes = 0;
  /// The longest message, in bytes, that the client is willing to receive.
  std::uint64_t max_message = 0;
  friend bool operator==(const hello&, const hello&) = default;
};

struct welcome {
  std::uint16_t version = protocol_version;
  sys::bell_kind wakes_client = sys::bell_kind::socket;  ///< the bell that the server will ring
  sys::bell_kind wakes_server = sys::bell_kind::socket;  ///< the bell that the client has to ring
  std::uint64_t ring_bytes = 0;                          ///< data bytes of the server's ring
  /// The longest message, in bytes, that the server is willing to receive.
  std::uint64_t max_message = 0;
  friend bool operator==(const welcome&, const welcome&) = default;
};

struct refused {
  errc reason = errc::refused_malformed;  ///< one of errc::refused_*
  /// refused_version: the lowest version known; refused_ring_size: the smallest ring accepted;
  /// refused_kind: the server's `record_kind`.
  std::uint64_t limit_low = 0;
  /// refused_version: the highest version known; refused_ring_size: the largest ring accepted;
  /// refused_too_many[_of_user]: the number of clients allowed; refused_no_resources: the number
  /// of descriptors allowed, when the server has run out of them.
  std::uint64_t limit_high = 0;
  friend bool operator==(const refused&, const refused&) = default;
};

using frame = std::variant<hello, welcome, refused>;

/// A frame in the form in which it is sent over the socket.
struct encoded_frame {
  std::array<std::byte, max_frame> storage{};
  std::size_t size = 0;
  std::span<const std::byte> bytes() const noexcept { return {storage.data(), size}; }
};

/// Encodes `f`, so that decoding gives `f` again. A reason that is none of `errc::refused_*` has no
/// code on the wire and is sent as `refused_malformed`.
encoded_frame encode(const frame& f) noexcept;

/// Collects one frame from a stream, in pieces of any size. It never reads beyond the end of the
/// frame, because the bytes that follow are bells.
class frame_reader {
public:
  frame_reader() noexcept = default;
  /// Asks for `shortest` bytes at once (`header_size` to `max_frame`). It is for a side that is
  /// never sent a shorter frame; a shorter one is `errc::bad_peer`.
  explicit frame_reader(std::size_t shortest) noexcept : need_(shortest) {}

  /// Returns the buffer for the next bytes from the socket; its size is the most that may be read.
  /// It is empty once the frame is complete or cannot become a frame.
  std::span<std::byte> want() noexcept;
  /// Says that `n` bytes, at most `want().size()`, were written to that buffer. Returns the frame
  /// once it is complete.
  /// Errors: `errc::would_block` when more bytes are needed. `errc::bad_peer`, from then on, when
  /// the bytes cannot become a frame (magic, type, size, reserved bytes, or a bell or a reason that
  /// does not exist). A frame that has the right format but makes no sense is left to `answer` and
  /// `check`.
  result<frame> received(std::size_t n) noexcept;

private:
  std::array<std::byte, max_frame> buffer_{};
  std::size_t have_ = 0;
  std::size_t need_ = header_size;
  std::size_t size_ = 0;  // the frame's size by its header; 0 while there is no header
};

/// What a server accepts. Ring sizes are data bytes; each must be a `valid_ring_size`, and min <=
/// default <= max. `check` verifies both.
struct server_terms {
  server_terms() noexcept {}
  std::uint64_t min_ring_bytes = 4096;
  std::uint64_t max_ring_bytes = std::uint64_t{64} << 20;
  std::uint64_t default_ring_bytes = 64 << 10;
  std::uint64_t max_message = std::uint64_t{64} << 20;
  sys::bell_set can_wait_on = 0;
  sys::bell_set can_ring = 0;
  record_kind kind = record_kind::messages;
  bool same_user = true;  ///< the client runs as the same user: eventfd is safe, and preferred
};

/// The sizes that any ring may have: powers of two from 4 KiB to 1 GiB.
bool valid_ring_size(std::uint64_t bytes) noexcept;

/// Returns those of `kinds` that are safe between this process and a peer of the same or of another
/// user. Between different users eventfd is removed, even if nothing else is left, unless the
/// system's events are safe (`sys::event_is_safe_between_users`). A client applies this to what it
/// offers before it sends its HELLO; `answer` does the same for the server.
constexpr sys::bell_set usable_between(sys::bell_set kinds, bool same_user) noexcept {
  return same_user || sys::event_is_safe_between_users
             ? kinds
             : kinds & ~sys::bell_bit(sys::bell_kind::eventfd);
}

/// Answers a HELLO. It picks the highest common version and the size of the server's ring (the
/// client's wish, kept within the terms). For each direction it picks the first of eventfd, socket
/// and futex that one side can wait on, the other side can ring, and `usable_between` allows. Kinds
/// of bell that this version does not know are ignored. `terms` must pass `check`.
std::variant<welcome, refused> answer(const hello& greeting, const server_terms& terms) noexcept;

/// Checks a WELCOME against the HELLO, on the client's side: the server is not trusted either.
/// Errors: `errc::bad_peer` when the server chose a version or a bell that was not offered, or a
/// ring size that no ring may have.
std::error_code(check)(const welcome& answer, const hello& asked) noexcept;

/// Checks a server's terms before it listens.
/// Errors: `errc::bad_ring_size`.
std::error_code(check)(const server_terms& terms) noexcept;

/// Returns how many handles must come with a frame. Any other number means that the peer is at
/// fault.
std::size_t expected_handles(const hello& h) noexcept;
std::size_t expected_handles(const welcome& w) noexcept;

}  // namespace ringbell::handshake
