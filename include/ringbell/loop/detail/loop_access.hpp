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

/// A ring with somebody waiting on it that has not told its peer to ring a bell yet: the loop polls it while it spins, and makes it
/// park before it sleeps. Parking all of them takes three steps, so that one fence serves all: announce() each, fence, recheck() each.
/// Nothing may be destroyed from within the three: they schedule.
class awake_source : public list_node<awake_source> {
public:
  /// Looks at the ring; schedules the waiters that can go on. True when there were any (the source has then left the list, or stays if
  /// it wants to be polled on).
  virtual bool poll() noexcept = 0;
  /// Publishes what the peer must know before this side sleeps (heads, wake indexes). Relaxed stores; no fence.
  virtual void announce() noexcept = 0;
  /// After the fence: looks again. True when waiters were scheduled meanwhile, so that the loop must not sleep. Also rings what
  /// announce() made due. False: the peer will ring the bell, and the loop takes the source out of its list.
  virtual bool recheck() noexcept = 0;

  spin_history history;
  /// A source that is new has no history of its own: for its first waits it shares that of all that were new before it. Or a server with
  /// short connections would poll in vain for each of them.
  static constexpr std::uint8_t first_waits = 8;
  std::uint8_t waits = 0;  ///< that have ended in a message while polling, or in a park; counted up to `first_waits`
  /// Set by the source: whether polling can help, because somebody waits on it and the peer can run at the same time.
  bool pollable = true;
  /// The loop's own notes.
  bool polled = false;            ///< the last spin was for this source, too
  unsigned looks_in_vain = 0;     ///< since it last had something, or was last announced
  timer::time_point parked_at{};  ///< when it was parked without a spin before; nothing when awake, or when that is not to be learned from

protected:
  ~awake_source() = default;
};

/// What ringbell's own awaitables may do with a loop. All on the loop's thread.
struct loop_access {
  /// Queues a suspended coroutine; it runs on a coming turn. No effect when it is queued already.
  static void schedule(loop& lp, ready_node& node) noexcept {
    if (!node.linked()) lp.ready_.push_back(node);
    lp.changed();
  }
  /// Whether a coroutine may complete an await without suspending. False now and then, so that a channel that always has a
  /// message lets the others, and the timers, have their turn: then suspend and schedule().
  static bool may_continue(loop& lp) noexcept { return --lp.budget_ > 0; }

  static spin_history& history_of(loop& lp, awake_source& source) noexcept {
    return source.waits < awake_source::first_waits ? *lp.newcomers_ : source.history;
  }
  static void wait_ended(awake_source& source) noexcept {
    if (source.waits < awake_source::first_waits) ++source.waits;
  }

  /// `item` hears of the loop's end.
  static void add_resident(loop& lp, resident& item) noexcept { lp.residents_.push_back(item); }
  /// What may_continue() counts, for objects that keep a pointer to it.
  static int& budget_of(loop& lp) noexcept { return lp.budget_; }

  static void keep_awake(loop& lp, awake_source& source) noexcept {
    if (!source.linked()) lp.awake_.push_front(source);
    lp.changed();
  }
  /// The processor that the loop's thread was bound to when it last looked; -1 when it may run on several.
  static int only_cpu(const loop& lp) noexcept { return lp.only_cpu_; }
  /// To be called when a source finds itself ready after it was parked: tells its history how long the wait took. Cheap when it was
  /// not parked.
  static void woken(loop& lp, awake_source& source) noexcept {
    if (source.parked_at == timer::time_point()) return;
    history_of(lp, source).slept(loop::clock::now() - source.parked_at, lp.spin_limit_);
    source.parked_at = {};
  }

  /// `t.due()` is then `due`, whether or not it was pending before. Throws `std::bad_alloc`.
  static void add_timer(loop& lp, timer& t, timer::time_point due) {
    lp.timers_.add(t, due);
    lp.changed();
  }

  static void remove_timer(loop& lp, timer& t) noexcept { lp.timers_.remove(t); }

  /// Destroys the frames of spawned tasks and the functions posted, when the loop is not going to run again. True when there were any;
  /// what is destroyed may have spawned and posted anew, here or elsewhere.
  static bool discard(loop& lp) { return lp.discard(); }

  /// As run_ready(), for a driver that need not sleep before it calls again: a call runs what is ready, and polls the rings as `loop::run` does
  /// before it sleeps, but a slice of that at a time. True: call again as soon as others have had their turn; the native handle is not armed. False:
  /// it is, wait for it. Throws as run_ready() does; the handle is then armed.
  static bool drive(loop& lp) { return lp.drive(); }
  /// Something of the loop's has gone to the executor that drives it, and should have its turn before the rings are polled.
  static void hand_over(loop& lp) noexcept { lp.hands_over_ = true; }

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
  static std::error_code watch(loop& lp, sys::native_handle h, std::uint32_t events, watch_mode mode, event_sink& sink,
                               watch_key& key) noexcept;
  /// Ends a watch: its sink is not called any more. Must come before the handle is closed.
  static void unwatch(loop& lp, watch_key& key) noexcept;
  /// Waits, once, until a shared futex word is woken or differs from `expected`. Ends as a watch does. `errc::not_supported` on epoll.
  static std::error_code watch_futex(loop& lp, const sys::futex_word& word, std::uint32_t expected, event_sink& sink,
                                     watch_key& key) noexcept;
};

}  // namespace ringbell::detail
