// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "doctor/doctor.hpp"

namespace ringbell::tool {

/// What Linux separates from this process: by containers, namespaces and filters.
findings look_at_container();
/// Whether a filter looks at the system calls of this process.
bool is_filtered();

}  // namespace ringbell::tool
