// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ringbell::test {

/// pipe(2), closed on exec. Not pipe2, which macOS lacks.
inline int pipe_closed_on_exec(int (&ends)[2]) noexcept {
  if (::pipe(ends) != 0) return -1;
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  return 0;
}

/// socketpair(2) of Unix stream sockets, closed on exec.
inline int socket_pair_closed_on_exec(int (&ends)[2]) noexcept {
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return -1;
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  return 0;
}

inline void do_not_block(int (&ends)[2]) noexcept {
  for (const int end : ends) ::fcntl(end, F_SETFL, O_NONBLOCK);
}

}  // namespace ringbell::test
