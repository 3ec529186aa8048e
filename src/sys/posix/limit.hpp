// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

namespace ringbell::sys {

/// The limits of memory that only this system has; empty when there are none.
std::string other_memory_limits();

}  // namespace ringbell::sys
