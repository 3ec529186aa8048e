// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "sys/posix/unix_address.hpp"

#include <ringbell/result.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <sys/socket.h>

#include <cstddef>
#include <span>
#include <string>

/// Where the Unix sockets of the systems differ. Each system has its own definitions.
namespace ringbell::sys {

/// A Unix stream socket that does not block and is closed on exec. It raises no signal, where an
/// option of the socket can prevent that. Fails as socket(2).
handle open_socket() noexcept;
/// Two connected sockets. Returns 0, or -1 as socketpair(2).
int open_socket_pair(handle& one, handle& other) noexcept;
/// Accepts the next connection. Fails as accept(2).
handle accept_socket(native_handle listening) noexcept;

/// Binds so that only the user can ever connect: the socket file gets mode 0600 before the socket
/// listens. Returns 0, or -1 as bind(2).
int bind_private(native_handle socket, const unix_address& address,
                 const std::string& path) noexcept;

/// The flags for send(2) and sendmsg(2), with which they do not block and raise no signal.
int send_flags() noexcept;
/// The flags for recvmsg(2), with which it does not block, and received descriptors are closed on
/// exec, where the system can do that.
int receive_flags() noexcept;
/// Marks a received descriptor to be closed on exec, where `receive_flags` cannot do that.
void close_on_exec(native_handle received) noexcept;

/// The room for control data that a message needs for `received_handles::capacity` descriptors: at
/// most `control_room`.
inline constexpr std::size_t control_room = 2560;
std::size_t control_bytes() noexcept;

/// Takes ownership of the handles in a received message, and returns how many there were. Those
/// that do not fit are closed by `close_elsewhere`.
std::size_t collect(msghdr& message, received_handles& into) noexcept;

/// To be called after a recvmsg with `receive_flags` that returned `bytes`: takes them off the
/// socket, where the flags have left them in it. Returns false when that is not possible.
bool take_received(native_handle socket, std::span<std::byte> bytes) noexcept;

/// Receives what has arrived, as recv(2), without waiting. Returns 0 when it came with handles.
ssize_t receive_bytes(native_handle socket, std::span<std::byte> into) noexcept;

/// Makes the kernel refuse further handles. The result says whether it does, cannot, or already has
/// handles in the socket.
enum class handles_kept_out { yes, cannot, too_late };
handles_kept_out keep_handles_out(native_handle socket) noexcept;

/// Whether a socket that is about to be closed may contain handles. On Linux nothing can arrive in
/// it afterwards.
bool may_hold_handles(native_handle socket) noexcept;

result<peer_identity> identity_of_peer(native_handle socket) noexcept;

}  // namespace ringbell::sys
