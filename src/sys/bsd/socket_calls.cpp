// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/socket_calls.hpp"

#include "sys/posix/syscall.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ringbell::sys {

namespace {

// This is a step after the creation of the socket. A child process that another thread starts in
// between inherits the descriptor and keeps the connection open. A system without SOCK_CLOEXEC
// offers no way to avoid this.
bool prepare(native_handle socket) noexcept {
#ifdef SO_NOSIGPIPE
  const int on = 1;
  if (::setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) != 0) return false;
#endif
  const int flags = ::fcntl(socket, F_GETFL);
  return flags >= 0 && ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) == 0 &&
         ::fcntl(socket, F_SETFD, FD_CLOEXEC) == 0;
}

}  // namespace

handle open_socket() noexcept {
  handle made(::socket(AF_UNIX, SOCK_STREAM, 0));
  if (made && !prepare(made.get())) made.reset();
  return made;
}

int open_socket_pair(handle& one, handle& other) noexcept {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return -1;
  one = handle(fds[0]);
  other = handle(fds[1]);
  return prepare(fds[0]) && prepare(fds[1]) ? 0 : -1;
}

handle accept_socket(native_handle listening) noexcept {
  handle made(::accept(listening, nullptr, nullptr));
  if (made && !prepare(made.get())) {
    made.reset();
    // macOS refuses to set options of a socket whose peer has hung up.
    if (errno == EINVAL) errno = ECONNABORTED;
  }
  return made;
}

// The socket cannot have a mode before it has a name, and the umask belongs to the whole process.
// But no client can connect until the socket listens.
int bind_private(native_handle socket, const unix_address& address,
                 const std::string& path) noexcept {
  if (::bind(socket, address.get(), address.size()) != 0) return -1;
  if (::fchmodat(AT_FDCWD, path.c_str(), 0600, AT_SYMLINK_NOFOLLOW) == 0) return 0;
  const int error = errno;
  ::unlink(path.c_str());
  errno = error;
  return -1;
}

int send_flags() noexcept {
#ifdef SO_NOSIGPIPE
  return MSG_DONTWAIT;  // SO_NOSIGPIPE was set; older kernels do not know MSG_NOSIGNAL
#else
  return MSG_DONTWAIT | MSG_NOSIGNAL;
#endif
}

int receive_flags() noexcept { return MSG_DONTWAIT; }
// receive_flags() has taken the bytes already.
bool take_received(native_handle, std::span<std::byte>) noexcept { return true; }

// All handles are received, and then closed by `close_elsewhere`.
ssize_t receive_bytes(native_handle socket, std::span<std::byte> into) noexcept {
  alignas(cmsghdr) std::byte control[control_room];
  iovec bytes{into.data(), into.size()};
  msghdr message{};
  const auto n = retry([&] {
    message = {};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    return ::recvmsg(socket, &message, receive_flags());
  });
  received_handles dropped;
  return n > 0 && collect(message, dropped) != 0 ? 0 : n;
}

handles_kept_out keep_handles_out(native_handle) noexcept { return handles_kept_out::cannot; }

// The socket is not shut down first, because that would close its contents on this thread. So
// handles that the peer sends between this check and the close are closed on this thread.
bool may_hold_handles(native_handle socket) noexcept {
  int bytes = 0;
  return ::ioctl(socket, FIONREAD, &bytes) != 0 || bytes != 0;
}

// This is a step after the arrival of the handle: a child process that another thread starts in
// between inherits it.
void close_on_exec(native_handle received) noexcept {
  (void)::fcntl(received, F_SETFD, FD_CLOEXEC);
}

// Room for more descriptors than a message can carry (macOS: some 500; an mbuf cluster of 2048
// bytes). When there is too little room, these systems install all descriptors but report only
// those that fit, and the rest could never be closed. So all are received, and the surplus is
// closed.
std::size_t control_bytes() noexcept { return control_room; }

}  // namespace ringbell::sys
