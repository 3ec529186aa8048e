// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/detail/polled_sources.hpp>

#include <ringbell/ring/detail/park_fence.hpp>
#include <ringbell/sys/cpu.hpp>

#include <cstddef>
#include <utility>

namespace ringbell::detail {

polled_sources::polled_sources(spin_policy wanted)
    : spinner_(wanted), newcomers_(std::make_unique<spin_history>()) {
  can_spin();  // measures the cost of a park now, so that the first message need not wait for that
}

bool polled_sources::can_spin() noexcept {
  if (!spinner_.allowed()) return false;
  if (spins_until_look_-- == 0) {
    only_cpu_ = sys::only_cpu();
    spins_until_look_ = tuning::spins_per_cpu_look;
    spinner_.measure();
  }
  return true;
}

bool polled_sources::begin_spin() noexcept {
  if (list_.empty() || !can_spin()) return false;
  bool worth_it = false;
  list_.for_each([&](polled_source& source) {
    source.polled_ = source.pollable && spinner_.worth_it(history_of(source));
    worth_it |= source.polled_;
  });
  if (worth_it) spin_.begin();
  return worth_it;
}

void polled_sources::spin_was_wasted() noexcept {
  list_.for_each([this](polled_source& source) {
    if (source.polled_) history_of(source).wasted();
  });
}

bool polled_sources::poll_all() noexcept {
  return look(false, [this](polled_source& source) {
    history_of(source).paid();
    wait_ended(source);
  });
}

void polled_sources::look_while_busy() noexcept {
  look(true, [](polled_source&) {});
}

// Calls `found` for the sources that had something, and returns whether there were any. When the
// loop is busy, or these sources keep it busy, it parks the sources that have been silent for long.
template <class Found>
bool polled_sources::look(bool busy, Found found) noexcept {
  std::size_t looked = 0;
  bool any = false;
  bool any_silent = false;
  list_.for_each([&](polled_source& source) {
    ++looked;
    if (source.poll()) {
      source.looks_in_vain_ = 0;
      found(source);
      busy = any = true;
      return;
    }
    source.looks_in_vain_ =
        looked > tuning::many_sources ? tuning::looks_worth_a_park : source.looks_in_vain_ + 1;
    any_silent |= source.looks_in_vain_ >= tuning::looks_worth_a_park;
  });
  if (busy && any_silent && looked > tuning::few_sources) park_silent();
  return any;
}

void polled_sources::announce_all() noexcept {
  list_.for_each([](polled_source& source) { source.announce(); });
}

bool polled_sources::recheck_all() noexcept {
  return recheck([](const polled_source&) { return true; });
}

void polled_sources::park_silent() noexcept {
  const auto silent = [](const polled_source& source) {
    return source.looks_in_vain_ >= tuning::looks_worth_a_park;
  };
  list_.for_each([&](polled_source& source) {
    if (silent(source)) source.announce();
  });
  park_fence();
  recheck(silent);
}

template <class Announced>
bool polled_sources::recheck(Announced announced) noexcept {
  bool quiet = true;
  spin::clock::time_point now{};
  list_.for_each([&](polled_source& source) {
    if (!announced(source)) return;
    source.looks_in_vain_ = 0;
    if (source.recheck()) {
      quiet = false;
      return;
    }
    source.unlink();
    wait_ended(source);
    // A wait that was polled for in vain has already told its history.
    if (spinner_.limit().count() == 0 || std::exchange(source.polled_, false)) return;
    if (now == spin::clock::time_point()) now = spin::clock::now();
    source.parked_at_ = now;
  });
  return quiet;
}

}  // namespace ringbell::detail
