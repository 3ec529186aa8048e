// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/socket_calls.hpp"

#include "sys/posix/syscall.hpp"

#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

namespace ringbell::sys {

// The identity as of the moment when the peer connected. The process id needs a second call, and is
// 0 where the system does not have that call.
result<peer_identity> identity_of_peer(native_handle socket) noexcept {
  uid_t user = 0;
  gid_t group = 0;
  if (::getpeereid(socket, &user, &group) != 0) return last_error();
  peer_identity who;
  who.user = user;
  who.group = group;
#ifdef LOCAL_PEERPID
  pid_t process = 0;
  socklen_t size = sizeof process;
  if (::getsockopt(socket, SOL_LOCAL, LOCAL_PEERPID, &process, &size) == 0) who.process = process;
#endif
  return who;
}

}  // namespace ringbell::sys
