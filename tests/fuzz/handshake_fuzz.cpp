// SPDX-License-Identifier: BSL-1.0
//
// What a hostile peer can send on the control socket before anything is agreed.
//
// Input: byte 0 chooses the terms of the server that answers (and what the client had asked), byte
// 1 the sizes of the pieces in which the stream arrives; the rest is the stream. Aborts when a
// property does not hold.
#include <ringbell/channel/detail/handshake.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <variant>

namespace {

using namespace ringbell;
using namespace ringbell::handshake;

void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property violated: %s\n", property);
  std::abort();
}

// Delivers up to `piece()` bytes at a time, until there is a frame, or none can come, or the stream
// ends (would_block). Advances `stream`.
template <class Piece>
result<frame> read_frame(std::span<const std::byte>& stream, Piece piece) {
  frame_reader reader;
  std::size_t taken = 0;
  for (;;) {
    const std::span<std::byte> room = reader.want();
    require(!room.empty(), "a reader that needs more bytes has room for them");
    require(taken + room.size() <= max_frame,
            "a reader never asks for more than the longest frame");
    const std::size_t n = std::min({room.size(), stream.size(), piece()});
    if (n != 0) std::memcpy(room.data(), stream.data(), n);
    stream = stream.subspan(n);
    taken += n;

    result<frame> got = reader.received(n);
    if (got) {
      const encoded_frame again = encode(*got);
      require(again.size == taken, "a reader takes the frame's bytes and none that follow");
      require(reader.want().empty(), "a complete frame wants no more");
      return got;
    }
    if (got.error() == errc::bad_peer) {
      require(reader.want().empty(), "a broken frame wants no more");
      require(reader.received(0).error() == errc::bad_peer, "a broken frame stays broken");
      return got;
    }
    require(got.error() == errc::would_block, "a frame is complete, incomplete or broken");
    if (stream.empty()) return got;
  }
}

server_terms terms_from(unsigned choice) {
  server_terms terms;
  terms.same_user = (choice & 1) != 0;
  terms.can_wait_on = (choice >> 1) & 7;
  terms.can_ring = (choice >> 4) & 7;
  if ((choice & 0x80) != 0) terms.min_ring_bytes = terms.max_ring_bytes = terms.default_ring_bytes;
  return terms;
}

void try_answer(const hello& greeting, const server_terms& terms) {
  require(expected_handles(greeting) >= 1 && expected_handles(greeting) <= 2,
          "a HELLO brings one or two handles");

  const auto reply = answer(greeting, terms);
  if (const auto* w = std::get_if<welcome>(&reply)) {
    require(!check(*w, greeting), "a client accepts what an honest server answers");
    require(w->version >= oldest_version && w->version <= protocol_version,
            "the server picks a version that it knows");
    require(valid_ring_size(greeting.ring_bytes),
            "a client's ring that cannot be mapped is refused");
    require(w->ring_bytes >= terms.min_ring_bytes && w->ring_bytes <= terms.max_ring_bytes,
            "the server's ring keeps to its terms");
    require(terms.same_user || sys::event_is_safe_between_users ||
                (w->wakes_client != sys::bell_kind::eventfd &&
                 w->wakes_server != sys::bell_kind::eventfd),
            "no eventfd between different users");
    require((terms.can_ring & sys::bell_bit(w->wakes_client)) != 0,
            "the server rings only what it can");
    require((terms.can_wait_on & sys::bell_bit(w->wakes_server)) != 0,
            "the server waits only on what it can");
  }

  const frame sent = std::visit([](const auto& body) -> frame { return body; }, reply);
  const encoded_frame encoded = encode(sent);
  std::span<const std::byte> bytes = encoded.bytes();
  const auto got = read_frame(bytes, [] { return max_frame; });
  require(got.has_value() && *got == sent, "an answer arrives as it was sent");
}

void try_check(const welcome& w, const server_terms& terms) {
  require(w.wakes_client <= sys::bell_kind::futex && w.wakes_server <= sys::bell_kind::futex,
          "a decoded bell exists");
  hello asked;
  asked.can_wait_on = usable_between(terms.can_wait_on, terms.same_user);
  asked.can_ring = usable_between(terms.can_ring, terms.same_user);
  if (check(w, asked)) return;
  require(w.version >= asked.version_min && w.version <= asked.version_max,
          "only a version that was offered");
  require((asked.can_wait_on & sys::bell_bit(w.wakes_client)) != 0,
          "only a bell that the client can wait on");
  require((asked.can_ring & sys::bell_bit(w.wakes_server)) != 0,
          "only a bell that the client can ring");
  require(valid_ring_size(w.ring_bytes), "only a ring that can be mapped");
  require(expected_handles(w) >= 1 && expected_handles(w) <= 2,
          "a WELCOME brings one or two handles");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const server_terms terms = terms_from(data[0]);
  std::uint32_t state = data[1];
  const auto uneven = [&state] {
    state = state * 1664525u + 1013904223u;
    return std::size_t{1} + (state >> 28);
  };

  std::span<const std::byte> pieces = std::as_bytes(std::span{data, size}).subspan(2);
  std::span<const std::byte> at_once = pieces;
  while (!pieces.empty()) {
    const std::span<const std::byte> start = pieces;
    const result<frame> got = read_frame(pieces, uneven);
    const result<frame> same = read_frame(at_once, [] { return max_frame; });
    require(got.error() == same.error(), "the outcome does not depend on the pieces");
    require(pieces.size() == at_once.size(), "where a frame ends does not depend on the pieces");
    if (!got) break;

    require(*got == *same, "the frame does not depend on the pieces");
    const encoded_frame again = encode(*got);
    require(std::ranges::equal(again.bytes(), start.first(again.size)),
            "a decoded frame encodes to the bytes that it came from");
    if (const auto* h = std::get_if<hello>(&*got)) try_answer(*h, terms);
    if (const auto* w = std::get_if<welcome>(&*got)) try_check(*w, terms);
  }
  return 0;
}
