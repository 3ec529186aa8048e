// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/poll.hpp"
#else
#include "support/posix/poll.hpp"
#endif
