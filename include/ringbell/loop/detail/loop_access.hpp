// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/event.hpp>
#include <ringbell/detail/park_fence.hpp>
#include <ringbell/detail/posted_call.hpp>
#include <ringbell/detail/spin_history.hpp>
#include <ringbell/loop.hpp>
#include <ringbell/sys/futex.hpp>

#include <cstdint>
#include <memory>
#include <system_error>

namespace ringbell::detail {

/// What ringbell's own awaitables may do with a loop. All on the loop's thread.
struct loop_access : scheduler_access {
  /// Each scheduler is a loop.
  static loop& loop_of(scheduler& s) noexcept { return static_cast<loop&>(s); }

  static void keep_awake(loop& lp, polled_source& source) noexcept {
    lp.sources_.add(source);
    lp.changed();
  }
  /// The processor that the loop's thread was bound to when it last looked; -1 when it may run on
  /// several.
  static int only_cpu(const loop& lp) noexcept { return lp.sources_.only_cpu(); }
  /// As `polled_sources::woken`.
  static void woken(loop& lp, polled_source& source) noexcept { lp.sources_.woken(source); }

  /// Destroys the frames of spawned tasks and the functions posted, when the loop is not going to
  /// run again. True when there were any; what is destroyed may have spawned and posted anew, here
  /// or elsewhere.
  static bool discard(loop& lp) { return lp.discard(); }

  /// As run_ready(), for a driver that need not sleep before it calls again: a call runs what is
  /// ready, and polls the rings as `loop::run` does before it sleeps, but a slice of that at a
  /// time. True: call again as soon as others have had their turn; the native handle is not armed.
  /// False: it is, wait for it. Throws as run_ready() does; the handle is then armed.
  static bool drive(loop& lp) { return lp.drive(); }
  /// Something of the loop's has gone to the executor that drives it, and should have its turn
  /// before the rings are polled.
  static void hand_over(loop& lp) noexcept { lp.place_.hands_over = true; }

  /// Calls `call.run()` on the loop's thread, as `loop::post` does a function, and needs no memory
  /// for it. Thread-safe.
  static void post(loop& lp, posted_call& call) noexcept;
  /// Between the two, `run_until_idle` does not end: functions will be posted. Thread-safe.
  static void work_started(loop& lp) noexcept;
  static void work_finished(loop& lp) noexcept;
  /// What is attached to the loop; made by the first call.
  template <class Attachment>
  static Attachment& attachment(loop& lp) {
    if (!lp.attachment_) lp.attachment_ = std::make_unique<Attachment>();
    return static_cast<Attachment&>(*lp.attachment_);
  }

  /// Begins a watch (`reactor::watch`). Errors: `std::errc::not_enough_memory`; else the system's.
  static std::error_code watch(loop& lp, sys::native_handle h, std::uint32_t events,
                               watch_mode mode, event_sink& sink, watch_key& key) noexcept;
  /// Ends a watch: its sink is not called any more. Must come before the handle is closed.
  static void unwatch(loop& lp, watch_key& key) noexcept;
  /// Waits, once, until a shared futex word is woken or differs from `expected`. Ends as a watch
  /// does. `errc::not_supported` on epoll.
  static std::error_code watch_futex(loop& lp, const sys::futex_word& word, std::uint32_t expected,
                                     event_sink& sink, watch_key& key) noexcept;
};

}  // namespace ringbell::detail
