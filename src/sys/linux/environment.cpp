// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/environment.hpp"

#include <stdlib.h>

namespace ringbell::sys {

const char* trusted_variable(const char* name) noexcept { return ::secure_getenv(name); }
const char* root_service_folder() noexcept { return "/run/ringbell"; }

}  // namespace ringbell::sys
