// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace ringbell::bench {

/// A figure of many rounds: its median, and between which values it lies in most of them.
struct spread {
  double median = 0;
  double low = 0;   ///< a tenth of the rounds is below
  double high = 0;  ///< a tenth is above
  std::size_t rounds = 0;
};

/// The smallest value that at least the fraction `q` of all does not exceed; 0 when there are none.
inline double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double wanted = q * static_cast<double>(values.size());
  std::size_t i = 0;
  while (i + 1 < values.size() && static_cast<double>(i + 1) < wanted) ++i;
  return values[i];
}

inline double median(const std::vector<double>& values) { return quantile(values, 0.5); }

inline spread spread_of(const std::vector<double>& values) {
  return {median(values), quantile(values, 0.1), quantile(values, 0.9), values.size()};
}

/// What `a` was of `b` in each round that both have: hosts are noisy for longer than a round, so
/// this says more than the medians' ratio.
inline std::vector<double> ratios(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> all;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (b[i] > 0) all.push_back(a[i] / b[i]);
  return all;
}

}  // namespace ringbell::bench
