// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/detail/spin_history.hpp>

#include <ringbell/loop/detail/tuning.hpp>

#include <algorithm>

namespace ringbell::detail {

using namespace tuning;

bool spin_history::worth_it() noexcept {
  if (balance_ > 0 || until_try_ == 0) return true;
  --until_try_;
  return false;
}

void spin_history::paid() noexcept {
  balance_ = std::min(static_cast<std::uint8_t>(balance_ + 1), most_in_favour);
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
