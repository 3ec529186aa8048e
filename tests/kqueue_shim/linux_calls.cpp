// SPDX-License-Identifier: BSL-1.0

// What of src/sys/bsd/ does not compile on Linux, as calls that Linux has: in place of
// peer_identity.cpp and environment.cpp.

#include "sys/posix/environment.hpp"
#include "sys/posix/socket_calls.hpp"
#include "sys/posix/syscall.hpp"

#include <stdlib.h>
#include <sys/auxv.h>

namespace ringbell::sys {

result<peer_identity> identity_of_peer(native_handle socket) noexcept {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return last_error();
  return peer_identity{who.pid, who.uid, who.gid};
}

const char* trusted_variable(const char* name) noexcept { return ::secure_getenv(name); }
bool environment_counts() noexcept { return ::getauxval(AT_SECURE) == 0; }
const char* root_service_folder() noexcept { return "/run/ringbell"; }

}  // namespace ringbell::sys
