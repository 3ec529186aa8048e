// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace ringbell::bench {

/// Tests old_design.hpp, prints what passed, and gives the exit status. Forks: only while this
/// process has one thread.
int check_old_design();

}  // namespace ringbell::bench
