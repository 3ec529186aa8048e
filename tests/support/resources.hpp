// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/resources.hpp"
#else
#include "support/posix/resources.hpp"
#endif
