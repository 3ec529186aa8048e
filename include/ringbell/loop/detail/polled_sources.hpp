// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/list.hpp>
#include <ringbell/loop/detail/spinner.hpp>

#include <chrono>
#include <cstdint>
#include <memory>

namespace ringbell::detail {

/// A ring that a coroutine waits on, and whose peer has not yet been told to ring a bell. The loop
/// polls it while it spins, and parks it before it sleeps.
///
/// Parking all sources takes three steps, so that one fence serves all: announce() for each, the
/// fence, recheck() for each. Nothing may be destroyed during these steps: they only schedule.
class polled_source : public list_node<polled_source> {
public:
  /// Looks at the ring, and schedules the waiters that can go on. Returns true when there were any.
  /// The source has then left the list, or stays when it wants to be polled further.
  virtual bool poll() noexcept = 0;
  /// Publishes what the peer must know before this side sleeps (heads, wake indexes). Uses relaxed
  /// stores and no fence.
  virtual void announce() noexcept = 0;
  /// Looks again after the fence. Also rings the bells that announce() made due. True means that
  /// waiters were scheduled meanwhile, so the loop must not sleep. False means that the peer will
  /// ring the bell, and the loop takes the source out of its list.
  virtual bool recheck() noexcept = 0;

  /// Set by the source: whether polling can help, because a coroutine waits on it and the peer can
  /// run at the same time.
  bool pollable = true;

protected:
  virtual ~polled_source() = default;

private:
  friend class polled_sources;
  spin_history history_;
  /// How many waits have ended, in a message while polling or in a park; counted up to
  /// `first_waits`.
  std::uint8_t waits_ = 0;
  bool polled_ = false;  // the last spin was also for this source
  /// The looks that found nothing since the last message or the last announce().
  unsigned looks_in_vain_ = 0;
  /// When it was parked without a spin before. The epoch while it is awake, or when nothing is to
  /// be learned from this park.
  spin::clock::time_point parked_at_{};
};

/// The rings that a loop polls. It spins on them, parks them, and learns from both. Used on the
/// loop's thread.
class polled_sources {
public:
  /// Throws what the constructor of `spinner` throws.
  explicit polled_sources(spin_policy wanted);

  spin_policy policy() const noexcept { return spinner_.policy(); }
  /// The processor to which the thread was bound at the last check; -1 when it may run on several.
  int only_cpu() const noexcept { return only_cpu_; }
  /// To be called when the loop runs on another thread, which may be bound to another processor.
  void thread_changed() noexcept { spins_until_look_ = 0; }
  /// Checks, when it is time, to which processor the thread is bound. Returns false when the policy
  /// does not allow spinning.
  bool can_spin() noexcept;

  void add(polled_source& source) noexcept {
    if (!source.linked()) list_.push_front(source);
  }
  /// To be called when a source becomes ready after it was parked: tells its history how long the
  /// wait took. Cheap when it was not parked.
  void woken(polled_source& source) noexcept {
    if (source.parked_at_ == spin::clock::time_point()) return;
    history_of(source).slept(spin::clock::now() - source.parked_at_, spinner_.limit());
    source.parked_at_ = {};
  }

  bool spinning() const noexcept { return spin_.on(); }
  /// Begins a spin. Returns false when it is not likely to pay for any source.
  bool begin_spin() noexcept;
  /// Continues the spin. `interrupted()` is called at each look. `meanwhile(now)` is called now and
  /// then, and returns whether something else came.
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

  /// A loop that always has something ready neither spins nor parks. So it calls this to look after
  /// the coroutines that wait on a ring.
  void look_while_busy() noexcept;
  /// The first step of parking all sources.
  void announce_all() noexcept;
  /// The last step, after the fence: takes the sources whose peers will ring out of the list.
  /// Returns true when these were all.
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
