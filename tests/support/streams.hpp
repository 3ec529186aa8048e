// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/streams.hpp"
#else
#include "support/posix/streams.hpp"
#endif
