// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/environment.hpp"

#include <stdlib.h>
#include <sys/auxv.h>

namespace ringbell::sys {

const char* trusted_variable(const char* name) noexcept { return ::secure_getenv(name); }
bool environment_counts() noexcept { return ::getauxval(AT_SECURE) == 0; }
const char* root_service_folder() noexcept { return "/run/ringbell"; }

}  // namespace ringbell::sys
