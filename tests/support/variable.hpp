// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/variable.hpp"
#else
#include "support/posix/variable.hpp"
#endif
