// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/child_process.hpp"
#else
#include "support/posix/child_process.hpp"
#endif
