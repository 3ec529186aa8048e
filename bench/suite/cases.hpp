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

/// All cases of the scenarios ping-pong and one-way.
std::vector<bench_case> message_cases(const case_choice& choice);

}  // namespace ringbell::bench
