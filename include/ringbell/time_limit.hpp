// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <chrono>
#include <cstdint>
#include <ratio>
#include <type_traits>

namespace ringbell {

/// A span of time, made from a `std::chrono::duration` of any kind. It is kept in nanoseconds and
/// saturates. A duration that is too long for nanoseconds (292 years) becomes
/// `std::chrono::nanoseconds::max()`, which means no limit. A duration that is as long in the past
/// becomes `min()`; so does one that is not a number (NaN). Fractions are rounded away from zero,
/// so that nothing ends early, and only zero becomes zero.
///
/// Errors: none.
/// Thread-safety: a plain value.
class time_limit {
public:
  template <class Rep, class Period>
  constexpr time_limit(std::chrono::duration<Rep, Period> d) noexcept : span_(saturated(d)) {}

  constexpr operator std::chrono::nanoseconds() const noexcept { return span_; }
  friend constexpr auto operator<=>(time_limit, time_limit) noexcept = default;

private:
  using nanoseconds = std::chrono::nanoseconds;

  template <class Rep, class Period>
  static constexpr nanoseconds saturated(std::chrono::duration<Rep, Period> d) noexcept {
    using ratio = std::ratio_divide<Period, std::nano>;
    if constexpr (std::is_integral_v<Rep> && ratio::den == 1) {
      using count = std::common_type_t<Rep, std::intmax_t>;
      constexpr auto most = static_cast<count>((nanoseconds::max)().count() / ratio::num);
      const auto n = static_cast<count>(d.count());
      if (n > most) return (nanoseconds::max)();
      if constexpr (std::is_signed_v<count>)
        if (n < -most) return (nanoseconds::min)();
      return nanoseconds(static_cast<nanoseconds::rep>(n) * ratio::num);
    } else {
      const long double n = std::chrono::duration<long double, std::nano>(d).count();
      // Slightly less than the largest value, because the conversion may have rounded.
      constexpr long double most = 9.2e18L;
      if (n >= most) return (nanoseconds::max)();
      if (!(n > -most)) return (nanoseconds::min)();
      const auto whole = static_cast<nanoseconds::rep>(n);
      const long double rest = n - static_cast<long double>(whole);
      return nanoseconds(whole + (rest > 0 ? 1 : 0) - (rest < 0 ? 1 : 0));
    }
  }

  nanoseconds span_;
};

namespace detail {

/// The point in time `d` from now; `time_point::max()` when that is beyond it.
inline std::chrono::steady_clock::time_point from_now(time_limit d) noexcept {
  using clock = std::chrono::steady_clock;
  const std::chrono::nanoseconds span = d;
  const clock::time_point now = clock::now();
  return span > (clock::time_point::max)() - now ? (clock::time_point::max)() : now + span;
}

/// The time until `until`: zero when it has passed, and `nanoseconds::max()` at the end of time.
inline std::chrono::nanoseconds time_left(std::chrono::steady_clock::time_point until,
                                          std::chrono::steady_clock::time_point now) noexcept {
  if (until <= now) return std::chrono::nanoseconds(0);
  return until == (std::chrono::steady_clock::time_point::max)() ? (std::chrono::nanoseconds::max)()
                                                                 : until - now;
}
inline std::chrono::nanoseconds time_left(std::chrono::steady_clock::time_point until) noexcept {
  return time_left(until, std::chrono::steady_clock::now());
}

}  // namespace detail

}  // namespace ringbell
