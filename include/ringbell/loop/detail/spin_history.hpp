// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <chrono>
#include <cstdint>

namespace ringbell::detail {

/// What a loop has learned about one channel: does polling before sleeping pay? A message that
/// comes while polling counts in favour, a poll that finds nothing counts against it. While the
/// balance is zero the loop does not poll, but tries again more and more rarely. It tries sooner
/// when waits that sleep are short. Short waits alone do not start the polling again: where both
/// sides share a processor, sleeping is quick and polling never succeeds.
///
/// Polling for at most the cost of a park is never worse than twice the best choice known
/// afterwards (the ski-rental bound; Karlin et al., "Competitive randomized algorithms for
/// nonuniform problems", 1990).
class spin_history {
public:
  /// Whether to poll before the next sleep. Each call counts as one wait.
  bool worth_it() noexcept;
  /// To be called when a message came while polling.
  void paid() noexcept;
  /// To be called when no message came while polling.
  void wasted() noexcept;
  /// To be called when the wait went to sleep without polling. It took `waited` in all, and polling
  /// would have given up after `limit` (the cost of a park).
  void slept(std::chrono::nanoseconds waited, std::chrono::nanoseconds limit) noexcept;

private:
  std::uint8_t balance_ = 4;         // > 0: poll; the initial value makes new channels fast
  std::uint16_t until_try_ = 0;      // waits until the next try, while the balance is 0
  std::uint16_t try_interval_ = 16;  // doubles with every try that was wasted, up to 1024
};

}  // namespace ringbell::detail
