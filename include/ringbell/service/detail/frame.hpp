// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>
#include <ringbell/result.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

/// The frames that a `client` and a `server` exchange. One frame is one message of their channel.
/// docs/protocol.md specifies them.
///
/// client -> server  REQUEST  begins a call: its number, method, deadline, metadata and bytes
///                   PART     a further part of a streaming request, or its end
///                   CANCEL   the client does not wait for the reply any more
///                   CREDIT   that many bytes of the reply's parts were consumed
/// server -> client  REPLY    a part of a streaming reply, or the reply, or why there is none
///                   CREDIT   that many bytes of the request's parts were consumed
///                   GOAWAY   no further request will be taken, and why
///
/// Integers are little-endian. There is no I/O here; nothing allocates or throws.
///
/// Thread-safety: functions from any thread.
namespace ringbell::service_frame {

enum class kind : std::uint8_t {
  request = 1,
  part = 2,
  cancel = 3,
  credit = 4,
  reply = 5,
  goaway = 6
};

/// Bits of `header::flags`.
inline constexpr std::uint8_t more = 1;   ///< REQUEST, PART, REPLY: further parts follow
inline constexpr std::uint8_t error = 2;  ///< REPLY: the bytes say what went wrong

/// The size of the header that every frame has, and of the longest header, in bytes.
inline constexpr std::size_t header_size = 8;
inline constexpr std::size_t max_header_size = 24;
inline constexpr std::size_t max_metadata = 4096;

/// How many bytes of parts may be under way, in each direction of a call, before credit comes. A
/// part counts as its bytes and `part_cost`. A part may begin while less than this is under way, so
/// a single part may always be sent, whatever its size.
inline constexpr std::size_t initial_window = 64 << 10;
inline constexpr std::size_t part_cost = 64;

/// Method numbers from here on are reserved for ringbell.
inline constexpr std::uint32_t reserved_methods = 0x8000'0000;
inline constexpr std::uint32_t method_statistics = reserved_methods + 1;

struct header {
  service_frame::kind kind = kind::request;
  std::uint8_t flags = 0;
  std::uint32_t call = 0;      ///< the number that the client gave the call; 0 in GOAWAY
  std::uint32_t method = 0;    ///< REQUEST
  std::uint64_t deadline = 0;  ///< REQUEST: as `sent_deadline` makes it; 0: none
  std::uint64_t credit = 0;    ///< CREDIT: how many bytes
  errc reason{};               ///< GOAWAY: errc::refused_stopping or errc::dropped_idle
  std::size_t metadata = 0;    ///< REQUEST, REPLY: bytes of metadata, at most `max_metadata`
  friend bool operator==(const header&, const header&) = default;
};

/// A deadline as a REQUEST carries it: nanoseconds of the system's clock since 1970. The steady
/// clock would not do, because it differs between Linux's time namespaces. Between writing and
/// reading a deadline neither clock is kept in mind, so a step of the system's clock is felt only
/// by a request that is under way at that moment.
std::uint64_t sent_deadline(std::chrono::steady_clock::time_point deadline) noexcept;
/// The same on this process's steady clock; never earlier than the client's. Saturates, because a
/// client may send any number. None when `sent` is 0.
std::optional<std::chrono::steady_clock::time_point> received_deadline(std::uint64_t sent) noexcept;

/// A decoded frame. The spans refer to the received message.
struct frame {
  header head;
  std::span<const std::byte> metadata;
  std::span<const std::byte> payload;
};

struct encoded_header {
  std::array<std::byte, max_header_size> storage{};
  std::size_t size = 0;
  std::span<const std::byte> bytes() const noexcept { return {storage.data(), size}; }
};

encoded_header encode(const header& h) noexcept;

/// Decodes a message. `from_client` says which kinds of frame are allowed. The message must not
/// change meanwhile, so decode a copy.
/// Errors: `errc::bad_peer` when it is not a valid frame: it is too short, has an unknown kind,
/// flag or reason, or has more metadata than bytes.
result<frame> decode(std::span<const std::byte> message, bool from_client) noexcept;

/// What an error REPLY carries: the domain of the code, the code, and a text.
enum class code_domain : std::uint32_t {
  handler = 0,  ///< the handler's own: `call_error`
  service = 1,  ///< the service's: one of `service_errors`
  system = 2,   ///< errno
};
struct failure {
  code_domain domain = code_domain::handler;
  std::int32_t code = 0;
  std::string_view text;
};
inline constexpr std::size_t failure_header_size = 8;

std::array<std::byte, failure_header_size> encode(const failure& f) noexcept;
result<failure> decode_failure(std::span<const std::byte> payload) noexcept;

/// The number of an `errc` within `code_domain::service`, and the `errc` of a number. They return 0
/// and `errc{}` for what a service does not send.
std::int32_t number_of(errc e) noexcept;
errc errc_of(std::int32_t number) noexcept;

}  // namespace ringbell::service_frame
