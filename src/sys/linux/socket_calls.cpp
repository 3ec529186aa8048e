// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/socket_calls.hpp"

#include "sys/posix/syscall.hpp"

#include <sys/ioctl.h>
#include <sys/stat.h>

#include <array>

// Newer than the headers of some systems that have the kernel for it (6.16). Two architectures have
// numbers of their own.
#if !defined(SO_PASSRIGHTS) && !defined(__sparc__) && !defined(__hppa__)
#define SO_PASSRIGHTS 83
#endif

namespace ringbell::sys {

namespace {

constexpr int socket_type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
constexpr std::size_t handle_bytes = sizeof(int) * received_handles::capacity;
static_assert(CMSG_SPACE(handle_bytes) == CMSG_LEN(handle_bytes),
              "padding would let surplus handles in");
static_assert(CMSG_SPACE(handle_bytes) <= control_room);

// Out-of-band bytes can carry handles, too, and the next read would throw them away together. So
// they are part of the stream.
handle prepared(handle socket) noexcept {
  const int on = 1;
  if (socket && ::setsockopt(socket.get(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on) != 0)
    socket.reset();
  return socket;
}

/// What is in a socket, up to the first handles. Nothing leaves it.
struct look {
  ssize_t bytes = 0;  // as from recv(2)
  bool handles = false;
};
look look_at(native_handle socket, std::span<std::byte> room) noexcept {
  iovec bytes{room.data(), room.size()};
  msghdr message{};
  const auto n = retry([&] {
    message = {};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    return ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_PEEK);
  });
  // There was no room for any.
  return {n, n > 0 && (message.msg_flags & MSG_CTRUNC) != 0};
}

// More than honest peers have in their sockets at these moments, when only bells can be under way.
constexpr std::size_t a_few_bells = 4096;

/// Whether all that is in the socket now are a few bytes without handles.
bool holds_bytes_only(native_handle socket) noexcept {
  int all = 0;
  if (::ioctl(socket, FIONREAD, &all) != 0) return false;
  if (all == 0) return true;
  std::array<std::byte, a_few_bells> room;
  const look seen = look_at(socket, room);
  return !seen.handles && seen.bytes >= all;
}

}  // namespace

handle open_socket() noexcept { return prepared(handle(::socket(AF_UNIX, socket_type, 0))); }

int open_socket_pair(handle& one, handle& other) noexcept {
  int fds[2];
  if (::socketpair(AF_UNIX, socket_type, 0, fds) != 0) return -1;
  one = prepared(handle(fds[0]));
  other = prepared(handle(fds[1]));
  return one && other ? 0 : -1;
}

handle accept_socket(native_handle listening) noexcept {
  return prepared(handle(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
}

// The file inherits the mode of the socket, so it is private from the start, and no umask, which is
// the whole process's, is touched.
int bind_private(native_handle socket, const unix_address& address, const std::string&) noexcept {
  return ::fchmod(socket, 0600) != 0 ? -1 : ::bind(socket, address.get(), address.size());
}

int send_flags() noexcept { return MSG_DONTWAIT | MSG_NOSIGNAL; }

// Handles are looked at, which gives copies of them, and only then taken off the socket without
// room for any. What the kernel lets go of then is never the last of its file: either there is a
// copy, or the rest (too many of them, or no descriptors for all) stays in the socket, which
// another thread closes.
int receive_flags() noexcept { return MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_PEEK; }

bool take_received(native_handle socket, std::span<std::byte> bytes) noexcept {
  if (bytes.empty()) return true;  // the peer has hung up
  return retry([&] { return ::recv(socket, bytes.data(), bytes.size(), MSG_DONTWAIT); }) ==
         static_cast<ssize_t>(bytes.size());
}

ssize_t receive_bytes(native_handle socket, std::span<std::byte> into) noexcept {
  const look seen = look_at(socket, into);
  if (seen.handles) return 0;
  if (seen.bytes <= 0) return seen.bytes;
  return retry([&] {
    return ::recv(socket, into.data(), static_cast<std::size_t>(seen.bytes), MSG_DONTWAIT);
  });
}

// A sender looks at the option and adds its message to the queue under one and the same lock, and a
// read takes that lock as well. So a sender that saw the option set has its message in the queue
// when the read after the change is done, and a later one sees that it is not.
handles_kept_out keep_handles_out(native_handle socket) noexcept {
  handles_kept_out done = handles_kept_out::cannot;
#ifdef SO_PASSRIGHTS
  const int off = 0;
  if (::setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off) == 0)
    done = handles_kept_out::yes;
#endif
  // Without a byte there is nothing: not yet, or the peer has gone.
  std::byte one;
  const bool empty = look_at(socket, {&one, 1}).bytes <= 0;
  return empty || holds_bytes_only(socket) ? done : handles_kept_out::too_late;
}

bool may_hold_handles(native_handle socket) noexcept {
  ::shutdown(socket, SHUT_RD);
  return !holds_bytes_only(socket);
}

void close_on_exec(native_handle) noexcept {}

// Exactly the capacity, so that the kernel never installs one more: it says MSG_CTRUNC.
std::size_t control_bytes() noexcept { return CMSG_SPACE(handle_bytes); }

result<peer_identity> identity_of_peer(native_handle socket) noexcept {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return last_error();
  return peer_identity{who.pid, who.uid, who.gid};
}

}  // namespace ringbell::sys
