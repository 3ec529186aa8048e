// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/program.hpp"
#else
#include "support/posix/program.hpp"
#endif
