// SPDX-License-Identifier: BSL-1.0
#pragma once

// One end of a control pipe.
//
// Reading. The pipe is opened for overlapped calls, but it is not associated with a completion
// port: that would be for life, and a connection moves between loops, also to foreign ones. Instead
// there is always one pending read, into a small buffer, and callers wait for its event. So a
// hang-up is noticed without any call, and bytes that arrive set the event once. receive() takes
// them out of the buffer, and begins the next read when the buffer is empty.
//
//   reading_  filled            the event ...                        receive() ...
//   yes       -                 is set once the read has ended       returns would_block until the read has ended, then takes the bytes
//   no        some bytes        is set for the next caller           takes them; begins the next read after the last
//   no        none, ended_      was set                              reports that the peer has hung up
//
// The event is auto-reset: a wait resets it, and a wait that was ended may have reset it without
// serving a caller (RegisterWaitForSingleObject does not tell). Beginning a read resets it too. So
// a caller asks for the event before each wait, and the event is then set if there is news: a read
// that has ended, bytes that are left, or the hang-up. The kernel reports what comes later. A wait
// may wake without a reason, but never sleeps while there is news.
//
// A read ends when the thread that began it ends (ERROR_OPERATION_ABORTED). This happens when a
// connection has moved to another thread; the read is then begun again.
//
// Writing. A write that does not fit the pipe's buffer stays pending until the peer reads. For the
// sender it counts as sent, like bytes in a socket's buffer; the next write is refused with
// would_block until the first has ended. A hang-up loses what is pending.
//
// Lifetimes. The kernel writes to the OVERLAPPED and the buffers until a call has ended. They are
// members of this object, which is allocated once and never moves. Its destructor cancels both
// calls and waits for their ends. It polls for the ends and does not wait for the events, because
// another waiter may reset these. The kernel cancels a pipe's call in no more time than a system
// call takes. Only then is the memory freed.

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
  /// Begins to read. Returns null, with `error`, when no memory or no event is available.
  static std::unique_ptr<pipe_state> create(handle connected, pipe_side side,
                                            std::error_code& error) noexcept;
  pipe_state(handle connected, handle event, pipe_side side) noexcept;
  pipe_state(const pipe_state&) = delete;
  pipe_state& operator=(const pipe_state&) = delete;
  ~pipe_state();

  /// The event. To be called before each wait for it.
  native_handle event() noexcept;
  /// Makes the pipe set this event, which must be auto-reset, in place of the one before. It is set
  /// at once.
  /// Errors: the system's.
  std::error_code signal_by(native_handle event) noexcept;

  // See local_socket.
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
  bool reading_ = false;  // begun, and its end not seen yet
  bool ended_ = false;    // nothing more will come
  std::array<std::byte, 256> in_;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;

  handle_block in_block_;
  std::size_t in_block_bytes_ = 0;  // bytes of the block that have come
  received_handles came_;           // the block's handles, which are returned with the next bytes

  OVERLAPPED write_{};
  bool writing_ = false;
  bool block_sent_ = false;
  std::array<std::byte, pipe_buffer_bytes> out_;

  client_process client_;  // only at a server's end
  std::optional<peer_identity> known_;
};

/// Creates an instance of the pipe `path`, which must be the pipe's first one when `first` is true.
/// With `for_all_users` other users may connect, but not create instances. On failure returns an
/// empty handle, with `error`: `errc::bad_name`, `errc::name_in_use`, or the system's.
handle create_pipe_instance(const std::wstring& path, bool first, bool for_all_users, DWORD most,
                            std::error_code& error);

/// `path` in the form for system calls. Empty when it is not the name of a pipe of this machine, so
/// that no other file is ever opened.
std::wstring pipe_path(std::string_view path);

/// The owner of the pipe, by the kernel's statement: the user that created its first instance.
/// Errors: the system's.
result<user_id> owner_of_pipe(native_handle pipe) noexcept;

}  // namespace ringbell::sys
