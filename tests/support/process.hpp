// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/process.hpp"
#else
#include "support/posix/process.hpp"
#endif
