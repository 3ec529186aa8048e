// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>
#include <ringbell/version.hpp>

#include <version>

/// The version, and the settings that change the layout of the standard library's types, as part of
/// a name. The library defines a symbol with the name of its own settings. Each object file that
/// includes its headers refers to the symbol of the object file's settings. So a program with
/// different settings, or one that was compiled with the headers of another minor version, does not
/// link, and the linker's message shows them.
#define RINGBELL_JOIN_(a, b) a##b
#define RINGBELL_JOIN(a, b) RINGBELL_JOIN_(a, b)
#define RINGBELL_SETTINGS_0                                       \
  RINGBELL_JOIN(RINGBELL_JOIN(ringbell_, RINGBELL_VERSION_MAJOR), \
                RINGBELL_JOIN(RINGBELL_JOIN(_, RINGBELL_VERSION_MINOR), _was_built_with_))
#if defined(_GLIBCXX_RELEASE)
#define RINGBELL_SETTINGS_1 RINGBELL_JOIN(RINGBELL_SETTINGS_0, libstdcxx)
#elif defined(_LIBCPP_VERSION)
#define RINGBELL_SETTINGS_1 \
  RINGBELL_JOIN(RINGBELL_SETTINGS_0, RINGBELL_JOIN(libcxx_abi_, _LIBCPP_ABI_VERSION))
#else
#define RINGBELL_SETTINGS_1 RINGBELL_JOIN(RINGBELL_SETTINGS_0, another_standard_library)
#endif
#ifdef _GLIBCXX_DEBUG
#define RINGBELL_SETTINGS_2 RINGBELL_JOIN(RINGBELL_SETTINGS_1, __GLIBCXX_DEBUG)
#else
#define RINGBELL_SETTINGS_2 RINGBELL_SETTINGS_1
#endif
#if defined(_GLIBCXX_RELEASE) && !_GLIBCXX_USE_CXX11_ABI
#define RINGBELL_SETTINGS RINGBELL_JOIN(RINGBELL_SETTINGS_2, __GLIBCXX_USE_CXX11_ABI_0)
#else
#define RINGBELL_SETTINGS RINGBELL_SETTINGS_2
#endif

namespace ringbell::detail {

extern const char RINGBELL_SETTINGS;
[[gnu::used]] static const char* const settings_of_this_object_file = &RINGBELL_SETTINGS;

// -fpack-struct changes all layouts, and no macro shows it.
struct packed_or_not {
  char first;
  int second;
};
static_assert(sizeof(packed_or_not) > sizeof(char) + sizeof(int),
              "ringbell: compile without -fpack-struct, as the library was");

}  // namespace ringbell::detail
