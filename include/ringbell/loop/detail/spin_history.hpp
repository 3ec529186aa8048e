// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <chrono>
#include <cstdint>

namespace ringbell::detail {

/// What a loop has learned of one channel: does polling before sleeping pay? A message that comes
/// while polling counts for it, a poll in vain against it; while the balance is against it the loop
/// does not poll, but tries again ever more rarely, sooner when waits that sleep are short. Short
/// waits alone do not bring it back: where both sides share a processor, sleeping is quick and
/// polling always in vain. Polling for at most the cost of a park is never worse than twice the
/// best choice known afterwards (the ski-rental bound; Karlin et al., "Competitive randomized
/// algorithms for nonuniform problems", 1990).
class spin_history {
public:
  /// Whether to poll before the next sleep. Each call counts as one wait.
  bool worth_it() noexcept;
  /// A message came while polling.
  void paid() noexcept;
  /// None came while polling.
  void wasted() noexcept;
  /// The wait went to sleep without polling and took `waited` in all, while polling would have
  /// given up after `limit` (what a park costs).
  void slept(std::chrono::nanoseconds waited, std::chrono::nanoseconds limit) noexcept;

private:
  std::uint8_t balance_ = 4;         // > 0: poll. Starts in favour, so that fresh channels are fast
  std::uint16_t until_try_ = 0;      // waits to go until the next try, while the balance is 0
  std::uint16_t try_interval_ = 16;  // doubles with every try that was wasted, up to 1024
};

}  // namespace ringbell::detail
