// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifdef _WIN32
#include "support/windows/asio_waitable.hpp"
#else
#include "support/posix/asio_waitable.hpp"
#endif
