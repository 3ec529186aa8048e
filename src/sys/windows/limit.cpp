// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/limit.hpp>

namespace ringbell::sys {

std::string limit_behind(const std::error_code&) { return {}; }
std::string limit_of_threads() { return {}; }
bool fits_file_limit(std::size_t) noexcept { return true; }
std::optional<std::uint64_t> control_group_memory() { return std::nullopt; }

}  // namespace ringbell::sys
