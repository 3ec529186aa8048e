// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "common/json.hpp"
#include "contest.hpp"

#include <string>
#include <vector>

namespace ringbell::bench {

// What ringbell wants to reach, beside what it has reached.

/// One line of that table.
struct bar_outcome {
  std::string what;
  bool at_most = true;  ///< or at least
  double limit = 0;
  bool measured = false;  ///< whether the cases that it needs were run
  spread figure;
  std::string remark;

  bool reached() const noexcept {
    return at_most ? figure.median <= limit : figure.median >= limit;
  }
};

/// Keeps of the cases, and of their contenders, what the bars need.
std::vector<bench_case> cases_of_bars(std::vector<bench_case> all);
/// Those that the results say something about come with their figures.
std::vector<bar_outcome> evaluate_bars(const std::vector<case_result>& results);

std::string table_of(const std::vector<bar_outcome>& bars);
void write_json(tool::json& out, const std::vector<bar_outcome>& bars);

}  // namespace ringbell::bench
