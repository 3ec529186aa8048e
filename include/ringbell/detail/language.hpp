// SPDX-License-Identifier: BSL-1.0
#pragma once

// Says what the compiler needs, before it reports a thousand other errors.
#if defined(_MSVC_LANG) ? _MSVC_LANG < 202002L : __cplusplus < 202002L
#error "ringbell needs C++20: compile with -std=c++20 or later (g++ 12 or newer, clang 19 or newer)"
#elif !defined(__cpp_impl_coroutine)
#error \
    "ringbell needs C++20's coroutines: use g++ 12 or newer, clang 19 or newer, and give no -fno-coroutines"
#endif
