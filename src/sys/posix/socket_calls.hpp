// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "sys/posix/unix_address.hpp"

#include <ringbell/result.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <sys/socket.h>

#include <cstddef>
#include <string>

/// Where the systems' Unix sockets differ; a file per system.
namespace ringbell::sys {

/// A Unix stream socket: does not block, is closed on exec, and raises no signal as far as that is up to the socket. Fails as socket(2).
handle open_socket() noexcept;
/// Two connected ones. 0, or -1 as socketpair(2).
int open_socket_pair(handle& one, handle& other) noexcept;
/// The next connection. Fails as accept(2).
handle accept_socket(native_handle listening) noexcept;

/// Binds so that nobody but the user can ever connect: by mode 0600 of the socket file, before it listens. 0, or -1 as bind(2).
int bind_private(native_handle socket, const unix_address& address, const std::string& path) noexcept;

/// Flags for send(2) and sendmsg(2): does not block and raises no signal.
int send_flags() noexcept;
/// Flags for recvmsg(2): does not block, and descriptors that come are closed on exec, where that is to be had.
int receive_flags() noexcept;
/// Closes a descriptor that came on exec, where `receive_flags` does not say so.
void close_on_exec(native_handle received) noexcept;

/// How much room to give the control data of a message for `received_handles::capacity` descriptors: at most `control_room`.
inline constexpr std::size_t control_room = 2560;
std::size_t control_bytes() noexcept;

result<peer_identity> identity_of_peer(native_handle socket) noexcept;

}  // namespace ringbell::sys
