// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/connect_options.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>

#include <string>

namespace ringbell {

namespace detail {
/// Those of `wanted` that a coroutine on this loop can wait on.
inline sys::bell_set usable_bells(sys::bell_set wanted, const loop& lp) noexcept {
  wanted &= sys::system_bells();
  return lp.can_wait_on_futex() ? wanted : wanted & ~sys::bell_bit(sys::bell_kind::futex);
}
}  // namespace detail

/// Connects to the service `name` (a name, or a path when it contains a slash:
/// `sys::service_path`). While nobody listens there it tries again, 1 ms and then up to 100 ms
/// apart, until the timeout; likewise, up to 500 ms apart, while more clients knock at once than
/// the kernel keeps waiting.
/// Throws `std::system_error`: `errc::no_server` when nobody listened in time, `errc::timed_out`
/// when somebody did but did not answer, `errc::refused_*` with the server's limits in the text,
/// `errc::unsafe_directory` when the name's folder is not safe or another user's server listens
/// there (`sys::check_service_folder`, `sys::check_server`; a path may lead to anybody),
/// `errc::bad_name`, `errc::bad_ring_size`, `errc::bad_peer`, `errc::bad_region`,
/// `errc::cancelled`, the system's (no permission, out of descriptors or memory). Also
/// `errc::wrong_loop` when another loop than `lp` runs the coroutine that awaits it.
/// Thread-safety: the loop's thread. Cancellation: at any point; nothing is left behind. Lifetime:
/// a channel that outlives its loop is closed.
task<channel> connect(loop& lp, std::string name, connect_options options = {});

namespace detail {
/// As `connect`, but leaves it to the caller to make a channel of what it gives.
task<connection_parts> connect_parts(loop& lp, std::string name, connect_options options);
}  // namespace detail

}  // namespace ringbell
