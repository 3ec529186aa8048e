// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace ringbell::bench {

/// Draws from 0 to n-1, k with a probability in proportion to 1/(k+1): few are very active, most
/// hardly ever (G. K. Zipf). The same for each run; drawn in advance, so that `next` costs a look
/// into a table.
class zipf {
public:
  explicit zipf(std::size_t n) : draws_(n > 1 ? length : 1) {
    std::vector<double> below(n);  // how much of all is at or below k
    double sum = 0;
    for (std::size_t k = 0; k < n; ++k) below[k] = sum += 1 / static_cast<double>(k + 1);
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> draw(0, sum);
    for (std::uint32_t& to : draws_) {
      const auto found = std::upper_bound(below.begin(), below.end(), draw(random));
      to = static_cast<std::uint32_t>(
          std::min<std::ptrdiff_t>(found - below.begin(), static_cast<std::ptrdiff_t>(n) - 1));
    }
  }
  std::size_t next() noexcept {
    at_ = at_ + 1 < draws_.size() ? at_ + 1 : 0;
    return draws_[at_];
  }

private:
  static constexpr std::size_t length = std::size_t{1} << 16;
  std::vector<std::uint32_t> draws_;
  std::size_t at_ = 0;
};

}  // namespace ringbell::bench
