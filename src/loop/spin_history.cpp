// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/detail/spin_history.hpp>

#include <algorithm>

namespace ringbell::detail {

namespace {

constexpr std::uint8_t most = 8;  // so a change of the traffic is learned within some ten waits
constexpr std::uint16_t first_interval = 16;
constexpr std::uint16_t last_interval = 1024;

// How many waits a short one counts for on the way to the next try: traffic that becomes fast is polled for after 32 waits at the
// latest, and where polling never pays though waits are short, one in 32 is polled for.
constexpr std::uint16_t short_wait_counts = 32;

// A wait that slept contains what it took to wake both sides, so a quick exchange of two that sleep looks as slow as two parks and a bit.
constexpr int wake_ups_of_both_sides = 3;

}  // namespace

bool spin_history::worth_it() noexcept {
  if (balance_ > 0 || until_try_ == 0) return true;
  --until_try_;
  return false;
}

void spin_history::paid() noexcept {
  balance_ = std::min(static_cast<std::uint8_t>(balance_ + 1), most);
  try_interval_ = first_interval;
}

void spin_history::wasted() noexcept {
  if (balance_ > 0)
    --balance_;
  else
    try_interval_ = std::min(static_cast<std::uint16_t>(try_interval_ * 2), last_interval);
  until_try_ = try_interval_;
}

void spin_history::slept(std::chrono::nanoseconds waited, std::chrono::nanoseconds limit) noexcept {
  if (waited > wake_ups_of_both_sides * limit) return;
  until_try_ = static_cast<std::uint16_t>(until_try_ - std::min(until_try_, short_wait_counts));
}

}  // namespace ringbell::detail
