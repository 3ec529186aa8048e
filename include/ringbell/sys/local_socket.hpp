// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>
#include <ringbell/sys/foreign_handle.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/peer_identity.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>

namespace ringbell::sys {

/// This process's id.
std::uint64_t current_process() noexcept;

class doorbell;

/// The handles that came with a frame, at most `capacity`. Handles that are not taken out are
/// closed by `close_elsewhere`.
struct received_handles {
  static constexpr std::size_t capacity = 4;
  std::array<foreign_handle, capacity> items;
  std::size_t count = 0;
};

/// One end of a connected Unix stream socket, on Windows of a named pipe. It is non-blocking, and
/// not inherited by other programs.
///
/// On Windows handles do not travel with bytes. There the server's end does all duplicating: it
/// takes what the client sends from the client's process, and puts what it sends into that process.
/// Each direction has room for handles only at its beginning, so they go with the first `send` or
/// not at all. Handles that arrive have fewer rights: memory can be read, events can be set.
///
/// On an empty socket everything fails with `std::errc::bad_file_descriptor`, and `drain` reports a
/// hang-up.
///
/// Thread-safety: `ring` from any thread; everything else from one thread.
/// Lifetime: destruction closes the socket, and the peer then sees a hang-up. When it contains
/// handles that were not received, `close_elsewhere` closes it, so that destruction does not wait
/// for what the peer sent.
class local_socket {
public:
  local_socket() noexcept = default;
  explicit local_socket(socket_end connected) noexcept : end_(std::move(connected)) {}

  /// Connects to the socket file, or pipe, `path`. Never blocks.
  /// Errors: `errc::would_block` when the backlog is full (on macOS and the BSDs
  /// `errc::no_server`); `errc::no_server` when no server listens there; `errc::bad_name` when the
  /// path is too long; on Windows `errc::unsafe_directory` when the path contains a user's name
  /// (`sys::service_path`) and another user listens there; otherwise the system's.
  static local_socket connect(const std::string& path, std::error_code& error) noexcept;
  /// Creates two connected ends. The first is the server's end, where there is a difference.
  static std::array<local_socket, 2> pair(std::error_code& error) noexcept;

  /// The handle to wait on for reading. Call `receive` until it returns `errc::would_block`, then
  /// wait. On Windows it is an auto-reset event, which is set when bytes or the hang-up have come,
  /// and sometimes without a reason. A successful wait resets it, so only one thread or loop should
  /// wait on it, and it should call this function each time before it waits.
  native_handle native() const noexcept { return end_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(end_); }

  /// The identity of the process at the other end.
  /// Errors: the system's.
  result<peer_identity> peer() const noexcept;

  /// Sends `bytes` and, with the first of them, `handles`, which stay the caller's. Returns how
  /// many bytes were sent; when there were any, all handles were sent too.
  /// Errors: `errc::would_block`; `errc::peer_closed`; `std::errc::invalid_argument` for more
  /// handles than `received_handles::capacity`, for handles without a byte, and on Windows for
  /// handles that come late or are neither sections nor events; otherwise the system's.
  result<std::size_t> send(std::span<const std::byte> bytes,
                           std::span<const native_handle> handles = {}) noexcept;

  /// Receives at most `into.size()` bytes (not 0), and adds the handles that travel with them to
  /// `handles`. These handles are closed on exec. A result of zero bytes means that the peer has
  /// hung up.
  /// Errors: `errc::would_block`; `errc::peer_closed`; `errc::bad_peer` when more handles came than
  /// fit, or handles of the wrong kind; `std::errc::too_many_files_open` when this process may not
  /// have so many; otherwise the system's. After `errc::bad_peer` and
  /// `std::errc::too_many_files_open`, `handles` is empty, and the socket can only be closed. (On
  /// Linux, after the latter, `receive` can also be tried again once there are descriptors.)
  result<std::size_t> receive(std::span<std::byte> into, received_handles& handles) noexcept;

  /// From now on the peer can send only bytes, where the system can enforce that (Linux 6.16: its
  /// sends of handles then fail with EPERM). Returns false when the peer has sent handles, or more
  /// bytes than bells, that were not received: it has broken the protocol. Each side calls it once,
  /// when it has received everything that its peer has to send with handles.
  bool let_no_handles_in() noexcept;

  /// Rings a bell of kind `socket`: sends one byte. Never blocks, and raises no signal. A full
  /// buffer means "already rung". While the system lacks memory for the byte, the call tries again,
  /// for a tenth of a second.
  /// Errors: `errc::peer_closed`; `errc::not_supported` on Windows, which has no such bell;
  /// otherwise the system's.
  std::error_code ring() noexcept;
  /// Takes the bytes that have been rung so far. Never blocks. Returns true when the peer has hung
  /// up, or has attached handles to its bells, which counts as a hang-up.
  bool drain() noexcept;
  /// Hangs up: both sides see it, although this object still exists. Needs no memory. Does nothing
  /// on Windows.
  void shut_down() noexcept;

private:
  friend class doorbell;
  socket_end end_;
};

/// Descriptors that are kept open in reserve. One is closed when none is left for something that
/// matters. Has no effect on Windows, where handles do not run out.
/// Thread-safety: one thread.
class descriptor_reserve {
public:
  static constexpr std::size_t size = 6;
  /// Opens the descriptors that are missing. Opens none when the process cannot have more.
  void fill() noexcept;
  /// Closes one of them. Returns false when there was none.
  bool give_one() noexcept;

private:
  std::array<handle, size> spare_;
};

/// How many descriptors this process may have; the largest number on systems where they do not run
/// out.
/// Thread-safety: any thread.
std::size_t descriptor_limit() noexcept;

/// A listening Unix stream socket on a path, and the lock that shows that its server is alive. On
/// Windows it is a named pipe, of which some instances wait for clients. A pipe has no files, and
/// what follows about files does not apply to it.
///
/// The socket file of a dead server is replaced; the socket file of a live one is never taken over.
/// The lock file is the path with `.lock` appended. Destruction removes both files, except in a
/// forked child, which only closes its copies. The name stays in use as long as such a child lives,
/// because the child keeps the lock and the listening socket open.
///
/// Thread-safety: one thread.
class local_listener {
public:
  local_listener() noexcept = default;
  local_listener(local_listener&&) noexcept = default;
  local_listener& operator=(local_listener&& other) noexcept;
  ~local_listener();

  /// Binds and listens with the system's largest backlog (on Windows 8 clients). Only its own user
  /// can access the file or pipe, unless `for_all_users`.
  /// Errors: `errc::name_in_use`; `errc::bad_name` when the path is too long, its folder does not
  /// exist, or another kind of file is there (which is left alone); otherwise the system's.
  static local_listener bind(const std::string& path, bool for_all_users, std::error_code& error);
  /// Takes a Unix stream socket that listens already, on a path. Its file is another program's, and
  /// so are the clients in its backlog: neither is touched at the end. (Not on Windows.)
  /// Errors: `std::errc::invalid_argument`, with the reason in `why_not`; `errc::not_supported` on
  /// Windows; otherwise the system's.
  static local_listener adopt(handle listening, std::string& why_not, std::error_code& error);
  /// Text for messages, when `bind` has failed: the files in its way that another user owns, or
  /// that are no socket or lock file of a server, and what to do about them. "; " precedes each.
  /// Empty when there are none, and on Windows.
  static std::string obstacles(const std::string& path);

  /// The handle to wait on, as `local_socket::native`. Call `accept` until it returns
  /// `errc::would_block`, then wait.
  native_handle native() const noexcept { return socket_.get(); }
  const std::string& path() const noexcept { return path_; }

  /// Accepts the next connection, without waiting.
  /// Errors: `errc::would_block` when there is none; otherwise the system's, such as running out of
  /// descriptors.
  local_socket accept(std::error_code& error) noexcept;

private:
  void close() noexcept;

  listening_end socket_;
  std::string path_;
  // Not used on Windows:
  handle lock_;
  std::string lock_path_;
  std::int64_t process_ = 0;  // that bound the name, and alone may remove it; 0: another program
};

}  // namespace ringbell::sys
