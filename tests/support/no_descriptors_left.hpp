// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/no_descriptors_left.hpp"
#else
#include "support/posix/no_descriptors_left.hpp"
#endif
