// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/detail/event.hpp>
#include <ringbell/loop/detail/polled_sources.hpp>
#include <ringbell/loop/detail/posted_call.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/ring/detail/park_fence.hpp>
#include <ringbell/sys/futex.hpp>

#include <cstdint>
#include <memory>
#include <system_error>

namespace ringbell::detail {

/// What ringbell's own awaitables may do with a loop. Everything is called on the loop's thread,
/// unless a function says otherwise.
struct loop_access : scheduler_access {
  /// The loop that `s` is: each scheduler is a loop.
  static loop& loop_of(scheduler& s) noexcept { return static_cast<loop&>(s); }

  static void keep_awake(loop& lp, polled_source& source) noexcept {
    lp.sources_.add(source);
    lp.changed();
  }
  /// The processor to which the loop's thread was bound when the loop last checked; -1 when the
  /// thread may run on several.
  static int only_cpu(const loop& lp) noexcept { return lp.sources_.only_cpu(); }
  /// See `polled_sources::woken`.
  static void woken(loop& lp, polled_source& source) noexcept { lp.sources_.woken(source); }

  /// Destroys the frames of spawned tasks and the posted functions, when the loop is not going to
  /// run again. Returns true when there were any. Destroying them may spawn and post again, on this
  /// loop or another.
  static bool discard(loop& lp) { return lp.discard(); }

  /// As loop::drive, for a driver that calls hand_over when work goes to it. A call in which
  /// coroutines ran also polls the rings, unless work was handed over.
  static bool drive(loop& lp) { return lp.drive(false); }
  /// To be called when work of the loop was given to the executor that drives the loop. That work
  /// runs before the rings are polled.
  static void hand_over(loop& lp) noexcept { lp.place_.hands_over = true; }

  /// Calls `call.run()` on the loop's thread, as `loop::post` does a function, and needs no memory
  /// for it. Thread-safe.
  static void post(loop& lp, posted_call& call) noexcept;
  /// Between the two, `run_until_idle` does not end: functions will be posted. Thread-safe.
  static void work_started(loop& lp) noexcept;
  static void work_finished(loop& lp) noexcept;
  /// The object that is attached to the loop. The first call creates it.
  template <class Attachment>
  static Attachment& attachment(loop& lp) {
    if (!lp.attachment_) lp.attachment_ = std::make_unique<Attachment>();
    return static_cast<Attachment&>(*lp.attachment_);
  }

  /// Begins a watch (`reactor::watch`).
  /// Errors: `std::errc::not_enough_memory`; otherwise the system's.
  static std::error_code watch(loop& lp, sys::native_handle h, std::uint32_t events,
                               watch_mode mode, event_sink& sink, watch_key& key) noexcept;
  /// Ends a watch: its sink is not called any more. To be called before the handle is closed.
  static void unwatch(loop& lp, watch_key& key) noexcept;
  /// Waits, once, until a shared futex word is woken or differs from `expected`. It ends as a watch
  /// does.
  /// Errors: `errc::not_supported` on epoll.
  static std::error_code watch_futex(loop& lp, const sys::futex_word& word, std::uint32_t expected,
                                     event_sink& sink, watch_key& key) noexcept;
};

}  // namespace ringbell::detail
