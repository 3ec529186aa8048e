// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringbell::tool {

/// Counts values in classes whose width grows with the value: exact below 128, within 0.8 % above
/// (the scheme of HdrHistogram). Adding costs a few instructions and never allocates.
class histogram {
public:
  histogram() : counts_(classes) {}

  void add(std::uint64_t value) noexcept {
    ++counts_[class_of(value)];
    ++count_;
    max_ = std::max(max_, value);
  }
  void add(const histogram& other) noexcept {
    for (std::size_t i = 0; i < classes; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t max() const noexcept { return max_; }

  /// The smallest value that at least the fraction `q` of all values does not exceed; 0 when there
  /// are none.
  std::uint64_t quantile(double q) const noexcept {
    const double wanted = q * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < classes; ++i) {
      seen += counts_[i];
      if (seen != 0 && static_cast<double>(seen) >= wanted) return std::min(top_of(i), max_);
    }
    return max_;
  }

private:
  static constexpr unsigned bits = 7;  // 2^bits classes for each doubling
  static constexpr std::size_t per_doubling = std::size_t{1} << bits;
  static constexpr std::size_t classes = (64 - bits + 1) * per_doubling;

  static std::size_t class_of(std::uint64_t value) noexcept {
    if (value < per_doubling) return static_cast<std::size_t>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - bits - 1;
    return (shift + 1) * per_doubling + static_cast<std::size_t>(value >> shift) - per_doubling;
  }
  static std::uint64_t top_of(std::size_t index) noexcept {
    if (index < per_doubling) return index;
    const std::size_t shift = index / per_doubling - 1;
    return ((per_doubling + index % per_doubling + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace ringbell::tool
