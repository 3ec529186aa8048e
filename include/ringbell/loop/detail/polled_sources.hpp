// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/list.hpp>
#include <ringbell/loop/detail/spinner.hpp>

#include <chrono>
#include <cstdint>
#include <memory>

namespace ringbell::detail {

/// A ring that somebody waits on, and that has not told its peer yet to ring a bell: the loop polls
/// it while it spins, and parks it before it sleeps. Parking all of them takes three steps, so that
/// one fence serves all: announce() each, fence, recheck() each. Nothing may be destroyed from
/// within the three: they schedule.
class polled_source : public list_node<polled_source> {
public:
  /// Looks at the ring; schedules the waiters that can go on. True when there were any (the source
  /// has then left the list, or stays if it wants to be polled on).
  virtual bool poll() noexcept = 0;
  /// Publishes what the peer must know before this side sleeps (heads, wake indexes). Relaxed
  /// stores; no fence.
  virtual void announce() noexcept = 0;
  /// After the fence: looks again. True when waiters were scheduled meanwhile, so that the loop
  /// must not sleep. Also rings what announce() made due. False: the peer will ring the bell, and
  /// the loop takes the source out of its list.
  virtual bool recheck() noexcept = 0;

  /// Set by the source: whether polling can help, because somebody waits on it and the peer can run
  /// at the same time.
  bool pollable = true;

protected:
  virtual ~polled_source() = default;

private:
  friend class polled_sources;
  spin_history history_;
  std::uint8_t waits_ =
      0;  // that have ended in a message while polling, or in a park; counted up to `first_waits`
  bool polled_ = false;         // the last spin was for this source, too
  unsigned looks_in_vain_ = 0;  // since it last had something, or was last announced
  spin::clock::time_point
      // when it was parked without a spin before; nothing when awake, or when that is not to be
      // learned from
      parked_at_{};
};

/// The rings that a loop polls: spins on them, parks them, and learns from both. On the loop's
/// thread.
class polled_sources {
public:
  /// Throws as `spinner`.
  explicit polled_sources(spin_policy wanted);

  spin_policy policy() const noexcept { return spinner_.policy(); }
  /// The processor that the thread was bound to at the last look; -1 when it may run on several.
  int only_cpu() const noexcept { return only_cpu_; }
  /// The loop runs on another thread, which may be bound to another processor.
  void thread_changed() noexcept { spins_until_look_ = 0; }
  /// Looks, if it is time, which processor the thread is bound to. False when the policy allows no
  /// spinning.
  bool can_spin() noexcept;

  void add(polled_source& source) noexcept {
    if (!source.linked()) list_.push_front(source);
  }
  /// To be called when a source finds itself ready after it was parked: tells its history how long
  /// the wait took. Cheap when it was not parked.
  void woken(polled_source& source) noexcept {
    if (source.parked_at_ == spin::clock::time_point()) return;
    history_of(source).slept(spin::clock::now() - source.parked_at_, spinner_.limit());
    source.parked_at_ = {};
  }

  bool spinning() const noexcept { return spin_.on(); }
  /// Begins a spin; false when it is not likely to pay for any source.
  bool begin_spin() noexcept;
  /// Goes on with it. `interrupted()` is asked at each look; `meanwhile(now)` now and then, and
  /// says whether something else came.
  template <class Interrupted, class Meanwhile>
  spinner::outcome run_spin(spin_turn* turn, Interrupted interrupted, Meanwhile meanwhile) {
    const spinner::outcome outcome = spinner_.run(
        spin_, turn,
        [&] {
          if (poll_all()) return spinner::looked::found;
          return interrupted() ? spinner::looked::interrupted : spinner::looked::nothing;
        },
        [&](spin::clock::time_point now) { return meanwhile(now) || list_.empty(); });
    if (outcome == spinner::outcome::given_up) spin_was_wasted();
    return outcome;
  }
  void interrupt_spin() noexcept { spin_.interrupt(); }
  void stop_spin() noexcept { spin_.stop(); }

  /// A loop that always has something ready neither spins nor parks: so it looks here after those
  /// who wait on a ring.
  void look_while_busy() noexcept;
  /// The first step of parking all.
  void announce_all() noexcept;
  /// The last, after the fence: takes those out of the list whose peers will ring. True when that
  /// was all of them.
  bool recheck_all() noexcept;

private:
  spin_history& history_of(polled_source& source) noexcept {
    return source.waits_ < tuning::first_waits ? *newcomers_ : source.history_;
  }
  static void wait_ended(polled_source& source) noexcept {
    if (source.waits_ < tuning::first_waits) ++source.waits_;
  }
  bool poll_all() noexcept;
  template <class Found>
  bool look(bool busy, Found found) noexcept;
  void park_silent() noexcept;
  template <class Announced>
  bool recheck(Announced announced) noexcept;
  void spin_was_wasted() noexcept;

  list<polled_source> list_;
  spinner spinner_;
  spin spin_;
  int only_cpu_ = -1;
  unsigned spins_until_look_ = 0;
  std::unique_ptr<spin_history> newcomers_;  // what the first waits of sources have taught
};

}  // namespace ringbell::detail
