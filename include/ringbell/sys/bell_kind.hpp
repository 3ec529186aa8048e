// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <cstdint>

namespace ringbell::sys {

/// What a parked side can sleep on. The values are part of the protocol (bit positions in the
/// greeting).
enum class bell_kind : std::uint8_t {
  eventfd =
      /// a counter of the kernel's, on Windows an event: the cheapest wake; one descriptor more
  0,
  socket =
      /// a byte on the control socket: no descriptor more, and no peer can make the ringer block
  1,
  futex =
      /// FUTEX_WAIT on the peer's published index: no descriptor; needs a loop with futex
  /// operations
  2,
};

/// A set of kinds, as it travels in the greeting.
using bell_set = std::uint32_t;
constexpr bell_set bell_bit(bell_kind kind) noexcept {
  return bell_set{1} << static_cast<unsigned>(kind);
}
const char* name_of(bell_kind kind) noexcept;
/// The kinds that this system has between two processes. Linux has all, macOS and the BSDs
/// `socket`, Windows `eventfd` alone.
bell_set system_bells() noexcept;
/// Those of them that cost a connection no handle more, if there are any (`socket`); else all. For
/// services, which have many clients.
inline bell_set frugal_bells() noexcept {
  const bell_set socket = bell_bit(bell_kind::socket);
  return (system_bells() & socket) != 0 ? socket : system_bells();
}

}  // namespace ringbell::sys
