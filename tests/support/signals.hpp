// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/signals.hpp"
#else
#include "support/posix/signals.hpp"
#endif
