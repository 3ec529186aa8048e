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

/// The handles that came with a frame, at most `capacity`; those that were not taken are closed
/// elsewhere.
struct received_handles {
  static constexpr std::size_t capacity = 4;
  std::array<foreign_handle, capacity> items;
  std::size_t count = 0;
};

/// One end of a connected Unix stream socket, on Windows of a named pipe: non-blocking, not
/// inherited by other programs.
///
/// On Windows, where handles do not travel with bytes, the server's end does all duplicating: it
/// takes what the client sends from the client's process, and puts what it sends there. Each
/// direction has room for handles at its beginning only, so they go with the first `send` or not at
/// all. What arrives has fewer rights: memory can be read, events can be set.
///
/// Thread-safety: `ring` from any thread; the rest from one. Lifetime: closed on destruction; the
/// peer then sees a hang-up. When handles are in it that were not received, `close_elsewhere`
/// closes it, so that its destruction does not wait for what the peer sent. On one that is empty
/// everything fails with `std::errc::bad_file_descriptor`, and `drain` sees a hang-up.
class local_socket {
public:
  local_socket() noexcept = default;
  explicit local_socket(socket_end connected) noexcept : end_(std::move(connected)) {}

  /// Connects to the socket file, or pipe, `path`. Never blocks: a full backlog is
  /// `errc::would_block` (on macOS and the BSDs `errc::no_server`), nobody there `errc::no_server`,
  /// a path too long `errc::bad_name`; on Windows `errc::unsafe_directory` when the path has a
  /// user's name in it (`sys::service_path`) and another one listens there; else the system's
  /// error.
  static local_socket connect(const std::string& path, std::error_code& error) noexcept;
  /// Two connected ends. The first is the server's, where that makes a difference.
  static std::array<local_socket, 2> pair(std::error_code& error) noexcept;

  /// What to wait on, for reading: `receive` until it says `errc::would_block`, then wait. On
  /// Windows an auto-reset event, which is set when bytes or the hang-up have come (and sometimes
  /// for nothing): whoever waits on it takes the news, so there should be one who waits, and ask
  /// for it each time that he begins to.
  native_handle native() const noexcept { return end_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(end_); }

  /// Who is at the other end. Errors: the system's.
  result<peer_identity> peer() const noexcept;

  /// Sends `bytes` and, with the first of them, `handles`, which stay the caller's. Returns how
  /// many bytes went; when there were any, all handles went too. Errors: `errc::would_block`;
  /// `errc::peer_closed`; `std::errc::invalid_argument` for more handles than
  /// `received_handles::capacity`, or handles without a byte, and on Windows for handles that come
  /// late or are neither sections nor events; else the system's.
  result<std::size_t> send(std::span<const std::byte> bytes,
                           std::span<const native_handle> handles = {}) noexcept;

  /// Receives at most `into.size()` bytes (not 0), and adds the handles that travel with them to
  /// `handles`; they are closed on exec. Zero bytes is the peer's hang-up. Errors:
  /// `errc::would_block`; `errc::peer_closed`; `errc::bad_peer` when there were more handles than
  /// fit, or when they are not what they have to be, `std::errc::too_many_files_open` when this
  /// process may not have that many: `handles` is then emptied, and all that is left to do is to
  /// close the socket (on Linux also to try again, once there are descriptors); else the system's.
  result<std::size_t> receive(std::span<std::byte> into, received_handles& handles) noexcept;

  /// From now on the peer can send bytes only, where the system can see to that (Linux 6.16: its
  /// sends of handles then fail with EPERM). False when it has sent handles already, or more than
  /// bells, that were not received: it has broken the protocol. To be called once, by each side
  /// when it has received all that its peer has to send with handles.
  bool let_no_handles_in() noexcept;

  /// Rings the bell kind `socket`: sends one byte. Never blocks and raises no signal: a full buffer
  /// means "already rung". While the system lacks memory for the byte it is tried again, for a
  /// tenth of a second.
  /// Errors: `errc::peer_closed`; `errc::not_supported` on Windows, which has no such bell; else
  /// the system's.
  std::error_code ring() noexcept;
  /// Takes the bytes that have been rung so far. Never blocks. True when the peer has hung up, or
  /// has attached handles to its bells, which counts as such.
  bool drain() noexcept;
  /// Hangs up: both sides see it, though this object is still there. Needs no memory. Does nothing
  /// on Windows.
  void shut_down() noexcept;

private:
  friend class doorbell;
  socket_end end_;
};

/// Descriptors that are open for nothing: closed when none is left for something that matters.
/// Without effect on Windows, where handles do not run out.
/// Thread-safety: one thread.
class descriptor_reserve {
public:
  static constexpr std::size_t size = 6;
  /// Takes what is missing. Nothing happens when there is none.
  void fill() noexcept;
  /// Gives one up. False when there was none.
  bool give_one() noexcept;

private:
  std::array<handle, size> spare_;
};

/// How many descriptors this process may have; the largest number where they do not run out.
/// Thread-safety: any thread.
std::size_t descriptor_limit() noexcept;

/// A listening Unix stream socket on a path, and the lock that says its server lives. On Windows a
/// named pipe, some of whose instances wait for clients; it has no files, and what follows on files
/// does not apply.
///
/// A stale socket file of a dead server is replaced; a live one is never stolen. The lock file is
/// the path with `.lock` appended. Destruction removes both files, except in a forked child, which
/// only closes its copies. As long as such a child lives, so does the name: it keeps the lock and
/// the listening socket open.
class local_listener {
public:
  local_listener() noexcept = default;
  local_listener(local_listener&&) noexcept = default;
  local_listener& operator=(local_listener&& other) noexcept;
  ~local_listener();

  /// Binds and listens with the system's largest backlog (on Windows 8 clients); the file or pipe
  /// is accessible to its user alone unless `for_all_users`.
  /// Errors: `errc::name_in_use`; `errc::bad_name` when the path is too long, its folder does not
  /// exist, or another kind of file is there (which is left alone); else the system's.
  static local_listener bind(const std::string& path, bool for_all_users, std::error_code& error);
  /// For messages, when `bind` has failed: what is in its way that another user owns, or that is no
  /// socket or lock file of a server, and what to do about it; each with "; " in front. Empty when
  /// there is no such thing, and on Windows.
  static std::string obstacles(const std::string& path);

  /// What to wait on, as `local_socket::native`: `accept` until it says `errc::would_block`, then
  /// wait.
  native_handle native() const noexcept { return socket_.get(); }
  const std::string& path() const noexcept { return path_; }

  /// The next connection, without waiting. Errors: `errc::would_block` when there is none; the
  /// system's (out of descriptors).
  local_socket accept(std::error_code& error) noexcept;

private:
  void close() noexcept;

  listening_end socket_;
  std::string path_;
  // Not on Windows:
  handle lock_;
  std::string lock_path_;
  std::int64_t process_ = 0;  // that bound the name, and alone may give it up
};

}  // namespace ringbell::sys
