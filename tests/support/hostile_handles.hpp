// SPDX-License-Identifier: BSL-1.0
#pragma once

#if defined(_WIN32)
#include "support/windows/hostile_handles.hpp"
#elif defined(__linux__)
#include "support/linux/hostile_handles.hpp"
#else
#include "support/bsd/hostile_handles.hpp"
#endif
