// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/socket_calls.hpp"

#include "sys/posix/syscall.hpp"

#include <sys/stat.h>

namespace ringbell::sys {

namespace {

constexpr int socket_type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
constexpr std::size_t handle_bytes = sizeof(int) * received_handles::capacity;
static_assert(CMSG_SPACE(handle_bytes) == CMSG_LEN(handle_bytes), "padding would let surplus handles in");
static_assert(CMSG_SPACE(handle_bytes) <= control_room);

}  // namespace

handle open_socket() noexcept { return handle(::socket(AF_UNIX, socket_type, 0)); }

int open_socket_pair(handle& one, handle& other) noexcept {
  int fds[2];
  if (::socketpair(AF_UNIX, socket_type, 0, fds) != 0) return -1;
  one = handle(fds[0]);
  other = handle(fds[1]);
  return 0;
}

handle accept_socket(native_handle listening) noexcept {
  return handle(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

// The file inherits the mode of the socket, so it is private from the start, and no umask, which is the whole process's, is touched.
int bind_private(native_handle socket, const unix_address& address, const std::string&) noexcept {
  return ::fchmod(socket, 0600) != 0 ? -1 : ::bind(socket, address.get(), address.size());
}

int send_flags() noexcept { return MSG_DONTWAIT | MSG_NOSIGNAL; }
int receive_flags() noexcept { return MSG_DONTWAIT | MSG_CMSG_CLOEXEC; }
void close_on_exec(native_handle) noexcept {}

// Exactly the capacity, so that the kernel never installs one more: it closes the surplus and says MSG_CTRUNC.
std::size_t control_bytes() noexcept { return CMSG_SPACE(handle_bytes); }

result<peer_identity> identity_of_peer(native_handle socket) noexcept {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return last_error();
  return peer_identity{who.pid, who.uid, who.gid};
}

}  // namespace ringbell::sys
