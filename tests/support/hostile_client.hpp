// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <variant>
#include <vector>

#include "support/raw_peer.hpp"

/// What hostile clients do.
namespace ringbell::test {

/// Greets with these handles; the server must refuse, or hang up.
inline void expect_refusal(const std::string& path, const handshake::hello& hello,
                           const std::vector<sys::native_handle>& handles) {
  raw_peer attacker = raw_peer::connected_to(path);
  attacker.send(hello, handles);
  const auto answer = attacker.answer();
  if (answer) {
    CHECK(std::holds_alternative<handshake::refused>(*answer));
    CHECK(attacker.handles.count == 0);
  }
  CHECK(attacker.hangs_up());
}

inline std::uint64_t header(std::uint32_t length, std::uint32_t flags) {
  return ring::record_header{length, flags}.word();
}

/// Puts a record into the ring of an attacker that has sent nothing yet, and publishes a tail.
inline void publish(raw_client& attacker, std::uint64_t word, ring::position tail) {
  std::memcpy(attacker.data(), &word, sizeof word);
  attacker.page().tx_tail = tail;
  attacker.ring();
}

}  // namespace ringbell::test
