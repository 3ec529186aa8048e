// SPDX-License-Identifier: BSL-1.0
#pragma once

#if defined(_WIN32)
#include "support/windows/os_usage.hpp"
#elif defined(__linux__)
#include "support/linux/os_usage.hpp"
#else
#include "support/bsd/os_usage.hpp"
#endif
