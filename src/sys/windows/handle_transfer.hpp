// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// How handles travel. The kernel has no message for them, so a process takes part in the table of
/// another: always the server in its client's. Each direction of a pipe begins with a block of
/// handle values, valid in the client's process. The server pulls those that the client names, and
/// pushes its own before it names them. A client so needs no right to its server's process, and
/// hands out only what is in its own table.
namespace ringbell::sys {

/// What each direction of a pipe begins with, also when it has no handles. Little-endian, as all of
/// the protocol.
struct handle_block {
  std::uint32_t count = 0;
  std::uint32_t reserved = 0;
  std::array<std::uint64_t, received_handles::capacity> values{};

  bool valid() const noexcept { return count <= values.size() && reserved == 0; }
};
static_assert(sizeof(handle_block) == 40);

/// The process at the client's end of a pipe, opened by the server.
class client_process {
public:
  client_process() noexcept = default;
  explicit operator bool() const noexcept { return static_cast<bool>(process_); }

  /// Opens the process that connected to `pipe`. Errors: `errc::peer_closed` when it has gone; the
  /// system's, as when this process may not duplicate handles of it: one of another user, or with
  /// more privileges.
  static result<client_process> open(native_handle pipe) noexcept;

  /// A handle of its own to what the client calls `value`: a section to be read, or an event to be
  /// set. Errors: `errc::bad_peer` for anything else; the system's.
  result<handle> pull(std::uint64_t value) const noexcept;
  /// Gives the client a handle to this section or event, and returns what it is called there.
  /// Errors: `std::errc::invalid_argument` for what is neither; the system's.
  result<std::uint64_t> push(native_handle own) const noexcept;
  /// Closes what was pushed and never told of.
  void take_back(std::uint64_t value) const noexcept;

private:
  handle process_;
};

/// On the client's side, a handle that the server says it has pushed. Only what has exactly the
/// rights of something pushed is believed to be, and owned: else a server could have the client
/// close a handle that is another part's. Errors: `errc::bad_peer`.
result<handle> accept_pushed(std::uint64_t value) noexcept;

}  // namespace ringbell::sys
