// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/endpoint_pair.hpp"

/// What the tests of endpoints do with them.
namespace endpoint_steps {

using namespace ringbell;

using bytes = std::vector<std::byte>;

inline bytes some_bytes(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  bytes all(size);
  for (auto& one : all) one = static_cast<std::byte>(random());
  return all;
}

inline std::span<const std::byte> as_span(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}
inline errc send_text(ring::endpoint& from, std::string_view text) {
  return send_all(from, as_span(text));
}

// Receives one message and gives it back at once.
inline errc receive_bytes(ring::endpoint& at, bytes& out) {
  ring::message_view m;
  if (const errc e = at.receive(m); e != errc{}) return e;
  out.assign(m.data, m.data + m.size);
  if (!m.joined) at.release(at.read_position());
  return errc{};
}
inline errc receive_any(ring::endpoint& at) {
  bytes ignored;
  return receive_bytes(at, ignored);
}
inline std::string receive_text(ring::endpoint& at) {
  bytes got;
  REQUIRE(receive_bytes(at, got) == errc{});
  return {reinterpret_cast<const char*>(got.data()), got.size()};
}

struct park_result {
  bool sleeps;
  ring::wake_set due;
};
inline park_result park(ring::endpoint& side, bool for_data, bool for_space = false,
                        std::size_t space_for = 0) {
  side.announce(for_data, for_space, space_for);
  detail::park_fence();
  side.after_fence();
  const bool ready = (for_data && (side.can_receive() || side.interrupted())) ||
                     (for_space && side.can_send(space_for));
  return {!ready, side.take_due()};
}
inline bool sleeps_for_data(ring::endpoint& side) { return park(side, true).sleeps; }

// Fills the sender's ring; the number of messages of `size` bytes that it took.
inline std::size_t fill(ring::endpoint& from, std::size_t size) {
  std::size_t n = 0;
  while (send_zeros(from, size) == errc{}) ++n;
  return n;
}

// Moves one message of fragments from `from` to `to`, both going on in turn, as long as both get
// somewhere.
inline errc pass_fragments(ring::endpoint& from, ring::endpoint& to, const bytes& message,
                           bytes& got) {
  std::size_t sent = 0;
  const std::span<const std::byte> piece = message;
  for (int idle = 0; idle < 3;) {
    const std::size_t before = sent;
    if (sent < message.size()) {
      const errc e = from.send_fragments({&piece, 1}, message.size(), sent);
      if (e != errc{} && e != errc::would_block) return e;
    }
    const errc e = receive_bytes(to, got);
    if (e != errc::would_block) return e;
    idle = sent == before ? idle + 1 : 0;
    if (idle != 0) (void)park(to, true);  // publishes the head
  }
  return errc::would_block;
}

}  // namespace endpoint_steps
