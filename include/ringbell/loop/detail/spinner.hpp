// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/detail/spin_history.hpp>
#include <ringbell/loop/detail/tuning.hpp>
#include <ringbell/loop/spin_policy.hpp>
#include <ringbell/sys/cpu.hpp>

#include <chrono>
#include <cstdint>
#include <utility>

namespace ringbell::detail {

/// One spin: the polling that comes before a sleep. It may be interrupted, and go on in slices.
class spin {
public:
  using clock = std::chrono::steady_clock;

  bool on() const noexcept { return on_; }
  void begin() noexcept {
    on_ = true;
    begun_ = {};
    lasted_ = {};
  }
  /// It has found something, or was given up.
  void end() noexcept {
    on_ = false;
    in_vain_ = {};
  }
  /// It is left off, and nothing is learned from that.
  void stop() noexcept { on_ = false; }
  /// Something else came first. The time counts on: otherwise a timer that is always sooner than
  /// the limit would keep a silent ring polled for ever.
  void interrupt() noexcept {
    if (std::exchange(on_, false)) in_vain_ += lasted_;
  }

private:
  friend class spinner;
  bool on_ = false;
  clock::time_point begun_{};           // nothing until the clock is read for the first time
  std::chrono::nanoseconds lasted_{0};  // at the last look at the clock
  std::chrono::nanoseconds in_vain_{
      0};  // the spins that were interrupted, since one last found something or gave up
};

/// How long a spin may go on before a driver's others have their turn. It begins with the first
/// look at the clock: so an exchange of hot peers reads none.
class spin_turn {
public:
  bool over(spin::clock::time_point now) noexcept {
    if (begun_ == spin::clock::time_point()) begun_ = now;
    return now - begun_ >= tuning::spin_slice;
  }

private:
  spin::clock::time_point begun_{};
};

/// Polls before a sleep, for as long as a policy allows: of a native loop, and of a channel in
/// Asio. A spin that has not paid lasts at most as long as a park takes: that is never worse than
/// twice the best choice known afterwards (spin_history.hpp).
class spinner {
public:
  /// `wanted`, or when that is `automatic` what RINGBELL_SPIN says. Throws `std::system_error`
  /// (`std::errc::invalid_argument`) when it is read and has no such value.
  explicit spinner(spin_policy wanted);

  spin_policy policy() const noexcept { return policy_; }
  bool allowed() const noexcept { return policy_ != spin_policy::none; }
  /// Whether the next wait is to be polled for. Each call counts as one wait.
  bool worth_it(spin_history& history) const noexcept {
    return policy_ == spin_policy::always || (allowed() && history.worth_it());
  }
  /// How long a spin that has not paid may last; zero when there is no such limit, or before
  /// `measure`.
  std::chrono::nanoseconds limit() const noexcept { return limit_; }
  /// Finds out what a park costs, on the first call in a process (`sys::park_cost`).
  void measure() noexcept;

  enum class looked : std::uint8_t { nothing, found, interrupted };
  enum class outcome : std::uint8_t { found, interrupted, given_up, turn_is_over };
  /// Goes on with a spin until `look` says that it found something, or that something else came.
  /// Now and then calls `meanwhile(now)`, which says by `true` that something else came. Within a
  /// turn, when there is one.
  template <class Look, class Meanwhile>
  outcome run(spin& s, spin_turn* turn, Look look, Meanwhile meanwhile) const {
    for (unsigned round = 1;; ++round) {
      switch (look()) {
        case looked::nothing: break;
        case looked::found: s.end(); return outcome::found;
        case looked::interrupted: s.interrupt(); return outcome::interrupted;
      }
      if (round % tuning::rounds_per_clock_read == 0) {
        const spin::clock::time_point now = spin::clock::now();
        if (s.begun_ == spin::clock::time_point()) s.begun_ = now;
        s.lasted_ = now - s.begun_;
        if (meanwhile(now)) {
          s.interrupt();
          return outcome::interrupted;
        }
        if (policy_ != spin_policy::always && s.in_vain_ + s.lasted_ >= limit_) {
          s.end();
          return outcome::given_up;
        }
        if (turn && turn->over(now)) return outcome::turn_is_over;
      }
      if (round >= tuning::rounds_before_pause) sys::pause();
    }
  }

private:
  spin_policy policy_;
  std::chrono::nanoseconds limit_{0};
};

}  // namespace ringbell::detail
