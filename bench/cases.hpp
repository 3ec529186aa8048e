// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "contest.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringbell::bench {

struct case_choice {
  std::vector<std::uint64_t> sizes;  ///< none: those of each scenario
  bool quick = false;                ///< few sizes
};

/// Whether a contender, by its id, is another project's way to the same end.
bool is_peer(std::string_view id) noexcept;

/// The names of the scenarios.
inline constexpr const char* scenarios[] = {"ping-pong", "service", "http",   "one-way",
                                            "fan-in",    "idle",    "connect"};

/// All cases, scenario by scenario.
std::vector<bench_case> all_cases(const case_choice& choice);

}  // namespace ringbell::bench
