// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdlib>

namespace ringbell::test {

inline void set_variable(const char* name, const char* text) { ::_putenv_s(name, text); }
inline void unset_variable(const char* name) { ::_putenv_s(name, ""); }

}  // namespace ringbell::test
