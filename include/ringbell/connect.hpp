// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel.hpp>
#include <ringbell/loop.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/task.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace ringbell {

/// Bells offered unless said otherwise, as far as the system has them. The futex bell takes no descriptor but needs io_uring with futex operations on the waiting side.
inline constexpr sys::bell_set default_bells = sys::bell_bit(sys::bell_kind::eventfd) | sys::bell_bit(sys::bell_kind::socket);

namespace detail {
/// Those of `wanted` that a coroutine on this loop can wait on.
inline sys::bell_set usable_bells(sys::bell_set wanted, const loop& lp) noexcept {
  wanted &= sys::system_bells();
  return lp.can_wait_on_futex() ? wanted : wanted & ~sys::bell_bit(sys::bell_kind::futex);
}
}  // namespace detail

struct connect_options {
  connect_options() noexcept {}
  /// Data bytes of this side's ring: a power of two from 4 KiB to 1 GiB, within what the server accepts.
  std::uint64_t ring_bytes = 64 << 10;
  /// What the server's ring should be; 0: as the server likes. A wish.
  std::uint64_t peer_ring_bytes = 0;
  /// The longest message that this side takes, in bytes. A peer that sends more has broken the protocol.
  std::uint64_t max_message = std::uint64_t{64} << 20;
  /// How long to go on trying while nobody listens, and to wait for the greeting's answer.
  std::chrono::nanoseconds timeout = std::chrono::seconds(5);
  /// The bells that this side may be woken by; those that its loop cannot wait on are left out.
  sys::bell_set bells = default_bells;
};

/// Connects to the service `name` (a name, or a path when it contains a slash: `sys::service_path`). While nobody listens there it tries again,
/// 1 ms and then up to 100 ms apart, until the timeout; likewise, up to 500 ms apart, while more clients knock at once than the kernel keeps
/// waiting.
/// Throws `std::system_error`: `errc::no_server` when nobody listened in time, `errc::timed_out` when somebody did but did not
/// answer, `errc::refused_*` with the server's limits in the text, `errc::bad_name`, `errc::bad_ring_size`, `errc::bad_peer`, `errc::bad_region`,
/// `errc::cancelled`, the system's (no permission, out of descriptors or memory).
/// Thread-safety: the loop's thread. Cancellation: at any point; nothing is left behind. Lifetime: the loop outlives the channel.
task<channel> connect(loop& lp, std::string name, connect_options options = {});

namespace detail {
/// As `connect`, but leaves it to the caller to make a channel of what it gives.
task<connection_parts> connect_parts(loop& lp, std::string name, connect_options options);
}  // namespace detail

}  // namespace ringbell
