// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/waitable.hpp"
#else
#include "support/posix/waitable.hpp"
#endif
