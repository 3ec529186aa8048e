// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

namespace ringbell::sys {

/// The memory limits that only this system has. Empty when there are none.
std::string other_memory_limits();

}  // namespace ringbell::sys
