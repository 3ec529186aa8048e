// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/socket_calls.hpp"

#include "sys/posix/syscall.hpp"

#include <sys/ioctl.h>
#include <sys/stat.h>

#include <array>

// Some systems have headers that are older than their kernel (6.16), and lack this. Two
// architectures have numbers of their own.
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

// Out-of-band bytes can carry handles too, and the next read would drop the bytes with the handles.
// So out-of-band bytes are made part of the stream.
handle prepared(handle socket) noexcept {
  const int on = 1;
  if (socket && ::setsockopt(socket.get(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on) != 0)
    socket.reset();
  return socket;
}

/// The contents of a socket, up to the first handles. Looking at them takes nothing out.
struct look {
  ssize_t bytes = 0;  // as recv(2) returns it
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
  // MSG_CTRUNC means that there were handles, because the message has no room for any.
  return {n, n > 0 && (message.msg_flags & MSG_CTRUNC) != 0};
}

// More than honest peers have in their sockets at these moments, when only bells can be in transit.
constexpr std::size_t a_few_bells = 4096;

/// Whether the socket contains nothing but a few bytes without handles.
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

// The file inherits the mode of the socket, so it is private from the start. The umask, which
// belongs to the whole process, is not changed.
int bind_private(native_handle socket, const unix_address& address, const std::string&) noexcept {
  return ::fchmod(socket, 0600) != 0 ? -1 : ::bind(socket, address.get(), address.size());
}

int send_flags() noexcept { return MSG_DONTWAIT | MSG_NOSIGNAL; }

// Receiving takes two steps. The first peeks at the message, which gives copies of its handles; the
// second takes the message off the socket, without room for handles. A handle that the kernel drops
// in the second step is never the last one of its file, because there is a copy. Where there is no
// copy (too many handles, or no descriptors for all of them), the message stays in the socket, and
// another thread closes that.
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

// A sender checks the option and adds its message to the queue under one lock, and a read takes the
// same lock. So a sender that was still allowed to send handles has its message in the queue before
// the read that follows the change. A later sender sees the changed option.
handles_kept_out keep_handles_out(native_handle socket) noexcept {
  handles_kept_out done = handles_kept_out::cannot;
#ifdef SO_PASSRIGHTS
  const int off = 0;
  if (::setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off) == 0)
    done = handles_kept_out::yes;
#endif
  // When there is no byte, the peer has sent nothing yet or has gone.
  std::byte one;
  const bool empty = look_at(socket, {&one, 1}).bytes <= 0;
  return empty || holds_bytes_only(socket) ? done : handles_kept_out::too_late;
}

bool may_hold_handles(native_handle socket) noexcept {
  ::shutdown(socket, SHUT_RD);
  return !holds_bytes_only(socket);
}

void close_on_exec(native_handle) noexcept {}

// Room for exactly `capacity` handles, so that the kernel never installs one more: it sets
// MSG_CTRUNC.
std::size_t control_bytes() noexcept { return CMSG_SPACE(handle_bytes); }

result<peer_identity> identity_of_peer(native_handle socket) noexcept {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return last_error();
  return peer_identity{who.pid, who.uid, who.gid};
}

}  // namespace ringbell::sys
