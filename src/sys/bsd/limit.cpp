// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/limit.hpp>

#include "sys/posix/limit.hpp"

namespace ringbell::sys {

std::optional<std::uint64_t> control_group_memory() { return std::nullopt; }
std::string other_memory_limits() { return {}; }

}  // namespace ringbell::sys
