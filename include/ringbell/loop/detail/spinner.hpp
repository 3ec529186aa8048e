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

/// One spin: the polling before a sleep. It can be interrupted, and it can continue in slices.
class spin {
public:
  using clock = std::chrono::steady_clock;

  bool on() const noexcept { return on_; }
  void begin() noexcept {
    on_ = true;
    begun_ = {};
    lasted_ = {};
  }
  /// To be called when the spin has found something or was given up.
  void end() noexcept {
    on_ = false;
    in_vain_ = {};
  }
  /// Ends the spin without learning from it.
  void stop() noexcept { on_ = false; }
  /// To be called when something else came first. The time continues to count. Otherwise a timer
  /// that always expires before the limit would keep a silent ring polled for ever.
  void interrupt() noexcept {
    if (std::exchange(on_, false)) in_vain_ += lasted_;
  }

private:
  friend class spinner;
  bool on_ = false;
  clock::time_point begun_{};           // the epoch until the clock is read for the first time
  std::chrono::nanoseconds lasted_{0};  // the duration at the last look at the clock
  /// The time of the spins that were interrupted, since a spin last found something or was given
  /// up.
  std::chrono::nanoseconds in_vain_{0};
};

/// How long a spin may continue before the other work of a driver has its turn. It begins with the
/// first look at the clock, so an exchange between two active peers never reads the clock.
class spin_turn {
public:
  explicit spin_turn(std::chrono::microseconds length = tuning::spin_slice) noexcept
      : length_(length) {}
  bool over(spin::clock::time_point now) noexcept {
    if (begun_ == spin::clock::time_point()) begun_ = now;
    return now - begun_ >= length_;
  }

private:
  std::chrono::microseconds length_;
  spin::clock::time_point begun_{};
};

/// Polls before a sleep, for as long as a policy allows. A native loop uses it, and so does a
/// channel in Asio. A spin that finds nothing lasts at most as long as a park takes; that is never
/// worse than twice the best choice known afterwards (spin_history.hpp).
class spinner {
public:
  /// Uses the policy `wanted`, or when that is `automatic` the value of RINGBELL_SPIN.
  /// Errors: throws `std::system_error` (`std::errc::invalid_argument`) when RINGBELL_SPIN is read
  /// and its value is not a policy.
  explicit spinner(spin_policy wanted);

  spin_policy policy() const noexcept { return policy_; }
  bool allowed() const noexcept { return policy_ != spin_policy::none; }
  /// Whether to poll for the next wait. Each call counts as one wait.
  bool worth_it(spin_history& history) const noexcept {
    return policy_ == spin_policy::always || (allowed() && history.worth_it());
  }
  /// How long a spin that finds nothing may last. Zero when there is no such limit, or before
  /// `measure`.
  std::chrono::nanoseconds limit() const noexcept { return limit_; }
  /// Determines the cost of a park; the first call in a process measures it (`sys::park_cost`).
  void measure() noexcept;

  enum class looked : std::uint8_t { nothing, found, interrupted };
  enum class outcome : std::uint8_t { found, interrupted, given_up, turn_is_over };
  /// Continues a spin until `look` has found something, or something else came. Now and then it
  /// calls `meanwhile(now)`, which returns true when something else came. When there is a turn, the
  /// spin also stops at its end.
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
