// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/environment.hpp"

#include <stdlib.h>
#include <unistd.h>

namespace ringbell::sys {

const char* trusted_variable(const char* name) noexcept {
  return environment_counts() ? ::getenv(name) : nullptr;
}
bool environment_counts() noexcept { return ::issetugid() == 0; }
const char* root_service_folder() noexcept { return "/var/run/ringbell"; }

}  // namespace ringbell::sys
