// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "common/json.hpp"
#include "contest.hpp"

#include <string>
#include <utility>
#include <vector>

namespace ringbell::bench {

/// The percentiles that are reported.
struct percentile {
  const char* name;
  double q;
};
inline constexpr percentile percentiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};

/// A table for people.
std::string table_of(const case_result& result);
/// One object of the document that `--json` writes; docs/performance.md says what is in it.
void write_json(tool::json& out, const case_result& result);

}  // namespace ringbell::bench
