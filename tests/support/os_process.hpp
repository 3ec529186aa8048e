// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef __linux__
#include "support/linux/os_process.hpp"
#else
#include "support/bsd/os_process.hpp"
#endif
