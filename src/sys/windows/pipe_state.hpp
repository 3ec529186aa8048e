// SPDX-License-Identifier: BSL-1.0
#pragma once

// A control pipe's one end.
//
// Reading. The pipe is opened for overlapped calls, but it is not given to a completion port: that
// would be for life, and a connection moves between loops, also to loops that are not ours. Instead
// there is always one read under way, into a small buffer, and its event is what anybody waits on.
// So a hang-up shows without anybody asking for it, and bytes that come are news once: receive()
// takes them out of the buffer, and begins the next read when that is empty.
//
//   reading_  filled            the event ...                           receive() ...
//   yes       -                 is set once the read has ended          says would_block until it has, then takes what came
//   no        some bytes        is set for the next who waits           takes them; begins the next read after the last
//   no        none, ended_      was set                                 says that the peer has hung up
//
// The event is auto-reset: the wait takes it, and a wait that ends may have taken it for nobody
// (RegisterWaitForSingleObject does not tell). Beginning a read resets it. So whoever begins to
// wait asks for the event first, and it is set then if there is news: a read that has ended, bytes
// that were left, the hang-up. Of what comes later the kernel tells him. A wait may wake for
// nothing; it never sleeps on news.
//
// A read ends when the thread that began it ends (ERROR_OPERATION_ABORTED), as it does when a
// connection has moved to another thread: it is then begun again.
//
// Writing. A write that does not fit the pipe's buffer stays under way until the peer reads. Like
// the buffer of a socket it has been sent as far as the sender is concerned; the next one is
// refused with would_block until the first is through. What a hang-up finds under way is lost.
//
// Lifetimes. The kernel writes to the OVERLAPPED and the buffers until a call has ended. They are
// members of this object, which is allocated once and never moves. Its destructor cancels both
// calls and waits for their ends, by asking and not by the events, since somebody else may take
// these; the cancellation of a pipe's call takes the kernel no longer than a system call. Only then
// is the memory freed.

#include "sys/windows/handle_transfer.hpp"
#include "sys/windows/win32.hpp"

#include <ringbell/result.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace ringbell::sys {

inline constexpr DWORD pipe_buffer_bytes = 4096;

enum class pipe_side : bool { client, server };

struct pipe_state {
  /// Begins to read. Null, with `error`, when there is no memory or no event to be had.
  static std::unique_ptr<pipe_state> create(handle connected, pipe_side side,
                                            std::error_code& error) noexcept;
  pipe_state(handle connected, handle event, pipe_side side) noexcept;
  pipe_state(const pipe_state&) = delete;
  pipe_state& operator=(const pipe_state&) = delete;
  ~pipe_state();

  /// The event, to wait for from now on.
  native_handle event() noexcept;
  /// From now on this event, which must be auto-reset, tells of what has come, in place of the one
  /// before. It is set at once. Errors: the system's.
  std::error_code signal_by(native_handle event) noexcept;

  // As local_socket's.
  result<peer_identity> peer() noexcept;
  result<std::size_t> send(std::span<const std::byte> bytes,
                           std::span<const native_handle> handles) noexcept;
  result<std::size_t> receive(std::span<std::byte> into, received_handles& handles) noexcept;
  bool drain() noexcept;

private:
  void begin_read() noexcept;
  std::error_code fill() noexcept;
  std::size_t take(std::span<std::byte> into) noexcept;
  std::error_code open_block() noexcept;
  std::error_code verify_client() noexcept;
  std::error_code open_client() noexcept;
  std::error_code name_handles(std::span<const native_handle> handles,
                               handle_block& block) noexcept;
  void take_back(const handle_block& block) noexcept;
  result<peer_identity> ask_for_peer() const noexcept;

  handle pipe_;
  handle event_;
  pipe_side side_;

  OVERLAPPED read_{};
  bool reading_ = false;  // begun and its end not yet taken note of
  bool ended_ = false;    // nothing will come any more
  std::array<std::byte, 256> in_;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;

  handle_block in_block_;
  std::size_t in_block_bytes_ = 0;  // of it that have come
  received_handles came_;           // with it; given out with the next bytes

  OVERLAPPED write_{};
  bool writing_ = false;
  bool block_sent_ = false;
  std::array<std::byte, pipe_buffer_bytes> out_;

  client_process client_;  // of a server's end
  std::optional<peer_identity> known_;
};

/// An instance of the pipe `path`, of which `first` must be the first. `for_all_users`: others may
/// connect, but make no instances. Empty, with `error`: `errc::bad_name`, `errc::name_in_use`, or
/// the system's.
handle create_pipe_instance(const std::wstring& path, bool first, bool for_all_users, DWORD most,
                            std::error_code& error);

/// `path` for the system's calls. Empty when it is not the name of a pipe of this machine: so that
/// nothing else is ever opened.
std::wstring pipe_path(std::string_view path);

/// The user whose pipe it is, by the kernel's word: whoever created its first instance. Errors: the
/// system's.
result<user_id> owner_of_pipe(native_handle pipe) noexcept;

}  // namespace ringbell::sys
