// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/bell_kind.hpp>
#include <ringbell/sys/handle.hpp>

#include <system_error>
#include <utility>

namespace ringbell::sys {

/// A counter that one side rings and the other polls: what bells of kind `eventfd` and the loop's
/// own wake-up are made of. On Linux an eventfd; on Windows an auto-reset event, which a wait
/// takes; elsewhere an event of a kqueue, which only this process can ring. A bell wakes a parked
/// peer. Ringing is a hint, never data: whoever wakes looks at the ring again, so a bell may be
/// rung too often and several rings may merge into one, but a ring after the sleeper armed is never
/// lost.
///
/// Thread-safety: `ring()` from any thread; everything else from one. Lifetime: the handle is
/// owned.
class event_bell {
public:
  event_bell() noexcept = default;
  explicit event_bell(handle from_peer) noexcept : handle_(std::move(from_peer)) {}
  static event_bell create(std::error_code& error) noexcept;

  /// Whether a handle that a peer sent really is an eventfd, or event: ringing anything else could
  /// do harm. On Linux asks /proc; where that is not mounted nothing can be verified and the answer
  /// is no (use another kind of bell).
  static bool is_event(native_handle h) noexcept;

  native_handle native() const noexcept { return handle_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

  /// Wakes whoever polls it. A full counter means "already rung". Errors: the system's. Cost: one
  /// system call. Does not block, as long as nobody who shares the eventfd clears its O_NONBLOCK
  /// (which belongs to all holders) and fills the counter: so eventfds are for peers of the same
  /// user, and `bell_kind::socket` for others. An event of Windows blocks nobody.
  std::error_code ring() noexcept;
  /// Takes what was rung, so that a level-triggered poll sleeps again.
  void drain() noexcept;
  /// To be called after an event of an edge watch, so that the next ring is one again. Does nothing
  /// where that is so anyway (Linux, Windows).
  void rearm() noexcept;

private:
  handle handle_;
};

}  // namespace ringbell::sys
