// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <cstdint>

namespace ringbell::sys {

/// The kinds of bells: what a parked side can sleep on. The values are part of the protocol, as bit
/// positions in the greeting.
enum class bell_kind : std::uint8_t {
  /// A counter in the kernel, on Windows an event. The cheapest wake; needs one more descriptor.
  eventfd = 0,
  /// A byte on the control socket. Needs no further descriptor, and no peer can make the ringing
  /// side block.
  socket = 1,
  /// FUTEX_WAIT on the peer's published index. Needs no descriptor, but a loop with futex
  /// operations.
  futex = 2,
};

/// A set of kinds, in the form of the greeting.
using bell_set = std::uint32_t;
/// The set that has this kind alone.
constexpr bell_set bell_bit(bell_kind kind) noexcept {
  return bell_set{1} << static_cast<unsigned>(kind);
}
const char* name_of(bell_kind kind) noexcept;
/// The kinds that this system supports between two processes: on Linux all, on macOS and the BSDs
/// `socket`, on Windows only `eventfd`.
bell_set system_bells() noexcept;
/// The kinds of `system_bells()` that need no further handle for each connection (`socket`). When
/// there are none, all kinds. Meant for services, which have many clients.
inline bell_set frugal_bells() noexcept {
  const bell_set socket = bell_bit(bell_kind::socket);
  return (system_bells() & socket) != 0 ? socket : system_bells();
}

}  // namespace ringbell::sys
