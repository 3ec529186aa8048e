// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "contest.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ringbell::bench {

struct case_choice {
  std::vector<std::uint64_t> sizes;  ///< none: those of each scenario
  bool quick = false;                ///< few sizes
};

/// All cases of the scenarios ping-pong and one-way.
std::vector<bench_case> message_cases(const case_choice& choice);

}  // namespace ringbell::bench
