// SPDX-License-Identifier: BSL-1.0
#pragma once

// The one switch between platforms. Everything else under sys/ has the same names on each of them; the build picks the folder of
// sources. Each platform header defines `ringbell::sys::native_handle` and `ringbell::sys::invalid_handle`.
#if defined(__linux__)
#include <ringbell/sys/linux/platform.hpp>
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
#include <ringbell/sys/bsd/platform.hpp>
#else
#error "ringbell: this platform is not supported; Linux, macOS and the BSDs are"
#endif
