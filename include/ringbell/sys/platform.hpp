// SPDX-License-Identifier: BSL-1.0
#pragma once

// This is the only switch between platforms. Everything else under sys/ has the same names on each
// of them, and the build chooses the folder of sources. Each platform header defines
// `native_handle`, `invalid_handle` and `user_id`, and says what a control socket consists of.
#if defined(__linux__)
#include <ringbell/sys/linux/platform.hpp>
#include <ringbell/sys/posix/socket_end.hpp>
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) || \
    defined(__DragonFly__)
#include <ringbell/sys/bsd/platform.hpp>
#include <ringbell/sys/posix/socket_end.hpp>
#elif defined(_WIN32)
#include <ringbell/sys/windows/platform.hpp>
#else
#error "ringbell: this platform is not supported; Linux, macOS, the BSDs and Windows are"
#endif
