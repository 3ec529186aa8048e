// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/environment.hpp"

#include <stdlib.h>
#include <unistd.h>

namespace ringbell::sys {

const char* trusted_variable(const char* name) noexcept { return ::issetugid() ? nullptr : ::getenv(name); }
const char* root_service_folder() noexcept { return "/var/run/ringbell"; }

}  // namespace ringbell::sys
