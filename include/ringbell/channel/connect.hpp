// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/connect_options.hpp>
#include <ringbell/channel/detail/record_kind.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>

#include <string>

namespace ringbell {

namespace detail {
/// Returns those of `wanted` that a coroutine on this loop can wait on.
inline sys::bell_set usable_bells(sys::bell_set wanted, const loop& lp) noexcept {
  wanted &= sys::system_bells();
  return lp.can_wait_on_futex() ? wanted : wanted & ~sys::bell_bit(sys::bell_kind::futex);
}
}  // namespace detail

/// Connects to the service `name`: a name, or a path when it contains a slash
/// (`sys::service_path`). The result is a `channel`.
///
/// While no server listens there, it tries again until the timeout. The pauses grow from 1 ms to
/// 100 ms. It also tries again while the server's backlog in the kernel is full; these pauses grow
/// up to 500 ms.
///
/// Errors: throws `std::system_error` with one of these:
/// `errc::no_server` when no server listened in time;
/// `errc::timed_out` when a server listened but did not answer in time;
/// `errc::refused_*`, with the server's limits in the text;
/// `errc::unsafe_directory` when the name's folder is not safe, or another user's server listens
/// there (`sys::check_service_folder`, `sys::check_server`; a path may lead to any user's server);
/// `errc::peer_closed` when the server hung up during the handshake and the timeout left no time to
/// try again;
/// `errc::wrong_loop` when another loop than `lp` runs the awaiting coroutine;
/// `errc::bad_name`, `errc::bad_ring_size`, `errc::bad_peer`, `errc::bad_region`,
/// `errc::cancelled`;
/// the system's (no permission, out of descriptors or memory).
/// Thread-safety: the loop's thread.
/// Cancellation: at any point; nothing is left behind.
/// Lifetime: a channel that outlives its loop is closed.
task<channel> connect(loop& lp, std::string name, connect_options options = {});

namespace detail {
/// As `connect`, but returns the parts, of which the caller makes a channel.
task<connection_parts> connect_parts(loop& lp, std::string name, connect_options options,
                                     handshake::record_kind kind);
}  // namespace detail

}  // namespace ringbell
