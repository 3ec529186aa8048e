// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "commands.hpp"
#include "demo/asio.hpp"

#include <ringbell/channel/channel.hpp>
#include <ringbell/sys/handle.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

// What the two processes of the demo have in common, and the server's side of it.
namespace ringbell::tool::demo {

/// What the server does next; asked for on the pair of sockets that the two share beside what is
/// measured.
enum class phase : std::uint32_t { ring_echo, ring_sink, socket_echo, asio_echo, leave };

/// What a side has used and done since it was started.
struct usage {
  std::uint64_t cpu_ns = 0;
  std::uint64_t parks = 0;
  std::uint64_t bells = 0;
};

/// The CPU time of this process, and what its channels count, of which one works at a time. The one
/// in Asio may be null.
usage usage_so_far(const channel& ch, const asio_link* in_asio);
usage operator-(const usage& a, const usage& b) noexcept;
usage operator+(const usage& a, const usage& b) noexcept;

/// The end of a phase: an empty message on the ring, a message of one byte on the socket.
inline constexpr std::size_t socket_end = 1;
inline constexpr std::size_t largest_echo = 256;

/// The sum of the 64-bit words of a message. So all of it has been read, and can be checked.
std::uint64_t sum_of(std::span<const std::byte> bytes) noexcept;

/// Send and receive all of a plain value. False when the other process has gone.
bool send_whole(sys::native_handle link, std::span<const std::byte> bytes) noexcept;
bool receive_whole(sys::native_handle link, std::span<std::byte> bytes) noexcept;
/// What there is; 0 when the other process has gone. Where messages are not kept apart, each is
/// answered before the next one goes.
std::size_t receive_some(sys::native_handle link, std::span<std::byte> bytes) noexcept;

struct server_setup {
  server_setup() noexcept {}
  std::string name;
  std::string asio_name;  // of the channel on an io_context, where there is Asio
  sys::handle orders;     // connected to the client: a phase comes, its usage goes
  sys::handle socket;     // connected to the client: what is measured beside ringbell
  common_options common;
};

/// Serves until the client says so or has gone. Gives the exit code.
int serve(const server_setup& setup);

}  // namespace ringbell::tool::demo
