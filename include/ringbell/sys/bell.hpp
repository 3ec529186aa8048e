// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/bell_kind.hpp>
#include <ringbell/sys/handle.hpp>

#include <system_error>
#include <utility>

namespace ringbell::sys {

/// A counter that one side rings and the other polls. Bells of kind `eventfd` and the loop's own
/// wake-up use it. On Linux it is an eventfd. On Windows it is an auto-reset event, which a
/// successful wait resets. Elsewhere it is an event of a kqueue, which only this process can ring.
///
/// A bell wakes a parked peer. Ringing is a hint, never data: the woken side looks at the ring
/// again. So a bell may be rung too often, and several rings may merge into one, but a ring after
/// the sleeper armed is never lost.
///
/// Thread-safety: `ring()` from any thread; everything else from one thread.
/// Lifetime: owns the handle.
class event_bell {
public:
  event_bell() noexcept = default;
  explicit event_bell(handle from_peer) noexcept : handle_(std::move(from_peer)) {}

  /// Makes a bell.
  /// Errors: the system's; the bell is then empty.
  static event_bell create(std::error_code& error) noexcept;

  /// Whether a handle that a peer sent really is an eventfd, or an event: ringing anything else
  /// could do harm. On Linux this reads /proc. Where /proc is not mounted, nothing can be verified
  /// and the answer is no (use another kind of bell).
  static bool is_event(native_handle h) noexcept;

  /// Returns the handle, which the bell keeps.
  native_handle native() const noexcept { return handle_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

  /// Wakes the side that polls the bell. A full counter means "already rung". Cost: one system
  /// call.
  ///
  /// It does not block, unless another holder of the eventfd clears O_NONBLOCK, which belongs to
  /// all holders, and fills the counter. So eventfds are for peers of the same user;
  /// `bell_kind::socket` is for other peers. An event of Windows never blocks the caller.
  /// Errors: the system's.
  std::error_code ring() noexcept;
  /// Resets the bell, so that a level-triggered poll sleeps again.
  void drain() noexcept;
  /// To be called after an edge-triggered event, so that the next ring causes another one. Does
  /// nothing where no such call is needed (Linux, Windows).
  void rearm() noexcept;

private:
  handle handle_;
};

}  // namespace ringbell::sys
