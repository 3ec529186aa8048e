// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "contenders.hpp"

#include <string>
#include <utility>
#include <vector>

namespace ringbell::bench {

/// What the figures depend on, as pairs of a name in lower case and a text.
std::vector<std::pair<std::string, std::string>> describe_environment(
    const contender_list& contenders);

}  // namespace ringbell::bench
