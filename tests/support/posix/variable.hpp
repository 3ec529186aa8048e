// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <stdlib.h>

namespace ringbell::test {

inline void set_variable(const char* name, const char* text) { ::setenv(name, text, 1); }
inline void unset_variable(const char* name) { ::unsetenv(name); }

}  // namespace ringbell::test
