// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringbell::tool {

/// How many letters have to be changed, left out, put in, or swapped with their neighbours to make
/// one word of the other.
inline std::size_t distance_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

/// Which of the words somebody meant by a mistyped one; empty when none is near: at most a third of
/// the letters wrong, or two of them.
inline std::string nearest(std::string_view mistyped, const std::vector<std::string>& words) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, mistyped.size() / 3) + 1;
  for (const std::string& word : words) {
    const std::size_t distance = distance_between(mistyped, word);
    if (distance >= least || distance >= word.size()) continue;
    least = distance;
    best = word;
  }
  return best;
}

}  // namespace ringbell::tool
