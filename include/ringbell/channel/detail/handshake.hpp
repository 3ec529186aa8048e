// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>
#include <ringbell/result.hpp>
#include <ringbell/sys/bell.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <variant>

/// The greeting on the control socket: what the frames look like, and what is checked before
/// anything else happens. No I/O here; the wire format is specified in docs/protocol.md.
///
/// client -> server  HELLO    versions, ring sizes, limits, bells;
///                            handles: its region, its eventfd when it offers to wait on that kind
/// server -> client  WELCOME  version, ring size, limits, the bell of each direction;
///                            handles: its region, its eventfd when the client rings that kind
///                or REFUSED  why, and the limit that was exceeded
///
/// Integers are little-endian. A frame is a header of 8 bytes (magic, type, size) and a body of
/// fixed size for its type. Nothing here allocates or throws. Thread-safety: functions from any
/// thread, an object from one at a time.
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
  sys::bell_set can_wait_on = 0;  ///< bells that can wake the client; see `usable_between`
  sys::bell_set can_ring = 0;     ///< bells that the client knows how to ring; see `usable_between`
  std::uint64_t ring_bytes =
      0;  ///< data bytes of the client's own ring (the region is this plus the control page)
  std::uint64_t wanted_ring_bytes =
      0;  ///< what it would like the server's ring to be, a power of two; 0: as the server likes
  std::uint64_t max_message =
      0;  ///< the longest message, in bytes, that the client is willing to receive
  friend bool operator==(const hello&, const hello&) = default;
};

struct welcome {
  std::uint16_t version = protocol_version;
  sys::bell_kind wakes_client = sys::bell_kind::socket;  ///< what the server will ring
  sys::bell_kind wakes_server = sys::bell_kind::socket;  ///< what the client has to ring
  std::uint64_t ring_bytes = 0;                          ///< data bytes of the server's ring
  std::uint64_t max_message =
      0;  ///< the longest message, in bytes, that the server is willing to receive
  friend bool operator==(const welcome&, const welcome&) = default;
};

struct refused {
  errc reason = errc::refused_malformed;  ///< one of errc::refused_*
  std::uint64_t limit_low =
      0;  ///< refused_version: lowest known; refused_ring_size: smallest accepted
  /// ... highest known; largest accepted; refused_too_many[_of_user]: clients allowed;
  /// refused_no_resources: descriptors allowed, when these ran out
  std::uint64_t limit_high = 0;
  friend bool operator==(const refused&, const refused&) = default;
};

using frame = std::variant<hello, welcome, refused>;

/// A frame as it goes over the socket.
struct encoded_frame {
  std::array<std::byte, max_frame> storage{};
  std::size_t size = 0;
  std::span<const std::byte> bytes() const noexcept { return {storage.data(), size}; }
};

/// What decodes to `f` again. A reason that is none of `errc::refused_*` has no code on the wire
/// and goes out as `refused_malformed`.
encoded_frame encode(const frame& f) noexcept;

/// Collects one frame from a stream, in pieces of any size. Reads not one byte beyond the frame's
/// end (what follows are bells).
class frame_reader {
public:
  frame_reader() noexcept = default;
  /// Wants `shortest` bytes at once (`header_size` to `max_frame`): for a side that is sent no
  /// shorter frame. A shorter one is `errc::bad_peer`.
  explicit frame_reader(std::size_t shortest) noexcept : need_(shortest) {}

  /// Where the next bytes from the socket go, and at most how many. Empty once the frame is
  /// complete or has turned out to be none.
  std::span<std::byte> want() noexcept;
  /// Says that `n` bytes were put there; `n` is at most `want().size()`. The frame once it is
  /// complete; `errc::would_block` when more bytes are needed; `errc::bad_peer`, from then on, when
  /// it cannot become a frame (magic, type, size, reserved bytes, a bell or a reason that does not
  /// exist). What fits the format but makes no sense is left to `answer` and `check`.
  result<frame> received(std::size_t n) noexcept;

private:
  std::array<std::byte, max_frame> buffer_{};
  std::size_t have_ = 0;
  std::size_t need_ = header_size;
  std::size_t size_ = 0;  // as the header says; 0 before there is one
};

/// What a server accepts. Ring sizes are data bytes, each a `valid_ring_size`, with min <= default
/// <= max; `check` says whether they are.
struct server_terms {
  server_terms() noexcept {}
  std::uint64_t min_ring_bytes = 4096;
  std::uint64_t max_ring_bytes = std::uint64_t{64} << 20;
  std::uint64_t default_ring_bytes = 64 << 10;
  std::uint64_t max_message = std::uint64_t{64} << 20;
  sys::bell_set can_wait_on = 0;
  sys::bell_set can_ring = 0;
  bool same_user = true;  ///< the client acts as the same user: then eventfd is safe, and preferred
};

/// What a ring's size must be for anybody: a power of two from 4 KiB to 1 GiB.
bool valid_ring_size(std::uint64_t bytes) noexcept;

/// What is left of `kinds` for a peer of the same or of another user: with another user no eventfd,
/// even if nothing else is left, unless the system's events are safe
/// (`sys::event_is_safe_between_users`). A client passes what it offers through this before it
/// sends its HELLO; `answer` does the same for the server.
constexpr sys::bell_set usable_between(sys::bell_set kinds, bool same_user) noexcept {
  return same_user || sys::event_is_safe_between_users
             ? kinds
             : kinds & ~sys::bell_bit(sys::bell_kind::eventfd);
}

/// Answers a greeting. Picks the highest common version, the server's ring size (the client's wish,
/// kept within the terms), and for each direction the first of eventfd, socket, futex that the one
/// side can wait on, the other can ring, and `usable_between` allows. Kinds of bell that this
/// version does not know are ignored. `terms` must pass `check`.
std::variant<welcome, refused> answer(const hello& greeting, const server_terms& terms) noexcept;

/// Checks an answer against what was asked, on the client's side: a server is not trusted either.
/// Errors: `errc::bad_peer` when it chose a version or a bell that was not offered, or an
/// impossible ring.
std::error_code(check)(const welcome& answer, const hello& asked) noexcept;

/// Checks a server's own terms, before it listens. Errors: `errc::bad_ring_size`.
std::error_code(check)(const server_terms& terms) noexcept;

/// How many handles must come with a frame: exactly these, or the peer is at fault.
std::size_t expected_handles(const hello& h) noexcept;
std::size_t expected_handles(const welcome& w) noexcept;

}  // namespace ringbell::handshake
