// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "sys/posix/unix_address.hpp"

#include <ringbell/result.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <sys/socket.h>

#include <cstddef>
#include <span>
#include <string>

/// Where the systems' Unix sockets differ; a file per system.
namespace ringbell::sys {

/// A Unix stream socket: does not block, is closed on exec, and raises no signal as far as that is
/// up to the socket. Fails as socket(2).
handle open_socket() noexcept;
/// Two connected ones. 0, or -1 as socketpair(2).
int open_socket_pair(handle& one, handle& other) noexcept;
/// The next connection. Fails as accept(2).
handle accept_socket(native_handle listening) noexcept;

/// Binds so that nobody but the user can ever connect: by mode 0600 of the socket file, before it
/// listens. 0, or -1 as bind(2).
int bind_private(native_handle socket, const unix_address& address,
                 const std::string& path) noexcept;

/// Flags for send(2) and sendmsg(2): does not block and raises no signal.
int send_flags() noexcept;
/// Flags for recvmsg(2): does not block, and descriptors that come are closed on exec, where that
/// is to be had.
int receive_flags() noexcept;
/// Closes a descriptor that came on exec, where `receive_flags` does not say so.
void close_on_exec(native_handle received) noexcept;

/// How much room to give the control data of a message for `received_handles::capacity`
/// descriptors: at most `control_room`.
inline constexpr std::size_t control_room = 2560;
std::size_t control_bytes() noexcept;

/// Takes ownership of the handles in a received message; returns how many there were. Those that do
/// not fit are closed elsewhere.
std::size_t collect(msghdr& message, received_handles& into) noexcept;

/// After a recvmsg with `receive_flags` that gave `bytes`: takes them off the socket, where the
/// flags leave them in it. False when that cannot be.
bool take_received(native_handle socket, std::span<std::byte> bytes) noexcept;

/// As recv(2) of what has come, without waiting. What comes with handles ends it: 0.
ssize_t receive_bytes(native_handle socket, std::span<std::byte> into) noexcept;

/// Has the kernel let in no more handles. Whether it does so, or does not know how, or handles are
/// in the socket already.
enum class handles_kept_out { yes, cannot, too_late };
handles_kept_out keep_handles_out(native_handle socket) noexcept;

/// Whether handles may be in a socket that is about to be closed. On Linux nothing comes into it
/// any more afterwards.
bool may_hold_handles(native_handle socket) noexcept;

result<peer_identity> identity_of_peer(native_handle socket) noexcept;

}  // namespace ringbell::sys
