// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// How handles travel. A pipe cannot carry them, so one process works on the handle table of the
/// other: it is always the server that works on its client's. Each direction of a pipe begins with
/// a block of handle values, which are valid in the client's process. The server pulls the handles
/// that the client names, and pushes its own before it names them. So a client needs no right to
/// its server's process, and gives away only what is in its own table.
namespace ringbell::sys {

/// The beginning of each direction of a pipe, even when it has no handles. Little-endian, as the
/// whole protocol.
struct handle_block {
  std::uint32_t count = 0;
  std::uint32_t reserved = 0;
  std::array<std::uint64_t, received_handles::capacity> values{};

  bool valid() const noexcept { return count <= values.size() && reserved == 0; }
};
static_assert(sizeof(handle_block) == 40);

/// The process at the client's end of a pipe, which the server has opened.
class client_process {
public:
  client_process() noexcept = default;
  explicit operator bool() const noexcept { return static_cast<bool>(process_); }

  /// Opens the process that connected to `pipe`.
  /// Errors: `errc::peer_closed` when it has ended; otherwise the system's, such as when this
  /// process may not duplicate handles of the client, because the client is another user's or has
  /// more privileges.
  static result<client_process> open(native_handle pipe) noexcept;

  /// Makes a handle of this process for the client's handle `value`: a section that can be read, or
  /// an event that can be set.
  /// Errors: `errc::bad_peer` for any other object; otherwise the system's.
  result<handle> pull(std::uint64_t value) const noexcept;
  /// Gives the client a handle to this section or event, and returns the handle's value in the
  /// client's process.
  /// Errors: `std::errc::invalid_argument` for any other object; otherwise the system's.
  result<std::uint64_t> push(native_handle own) const noexcept;
  /// Closes a handle that was pushed and whose value was never sent.
  void take_back(std::uint64_t value) const noexcept;

private:
  handle process_;
};

/// Accepts, on the client's side, a handle that the server says it has pushed. The client takes
/// ownership only of a handle that has exactly the rights of a pushed one. Otherwise a server could
/// make the client close a handle of another part of its program.
/// Errors: `errc::bad_peer`.
result<handle> accept_pushed(std::uint64_t value) noexcept;

}  // namespace ringbell::sys
