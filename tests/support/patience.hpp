// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>

namespace ringbell::test {

/// How long a test waits for what has to happen. It ends what hangs, and judges no speed: no test
/// fails because the machine is busy.
inline constexpr std::chrono::seconds patience{60};

}  // namespace ringbell::test
