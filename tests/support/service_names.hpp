// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/service_names.hpp"
#else
#include "support/posix/service_names.hpp"
#endif
