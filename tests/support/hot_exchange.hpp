// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/hot_exchange.hpp"
#else
#include "support/posix/hot_exchange.hpp"
#endif
