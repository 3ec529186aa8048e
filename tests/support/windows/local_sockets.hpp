// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "support/windows_objects.hpp"

/// What tests do with both ends of a connection.
namespace ringbell::test::local_sockets {

using namespace ringbell::sys;

inline std::array<local_socket, 2> make_pair() {
  std::error_code error;
  auto ends = local_socket::pair(error);
  REQUIRE_FALSE(error);
  return ends;
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// What comes with the next bytes; waits for them.
inline result_text receive(local_socket& from, received_handles& handles) {
  std::array<std::byte, 64> buffer;
  for (;;) {
    const auto got = from.receive(buffer, handles);
    if (got) return {{}, std::string(reinterpret_cast<const char*>(buffer.data()), *got)};
    if (got.error() != errc::would_block || !signalled(from.native())) return {got.error(), {}};
  }
}
inline result_text receive(local_socket& from) {
  received_handles handles;
  return receive(from, handles);
}

}  // namespace ringbell::test::local_sockets
