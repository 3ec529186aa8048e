// SPDX-License-Identifier: BSL-1.0
#include "sys/windows/pipe_state.hpp"

#include <ringbell/errors.hpp>

#include "sys/windows/object_type.hpp"
#include "sys/windows/user_id.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

namespace ringbell::sys {

namespace {

bool says_gone(DWORD error) noexcept {
  return error == ERROR_BROKEN_PIPE || error == ERROR_NO_DATA || error == ERROR_PIPE_NOT_CONNECTED;
}

// Whether an overlapped call has ended; `error` and `bytes` are its result.
bool has_ended(native_handle pipe, OVERLAPPED& call, DWORD& bytes, DWORD& error) noexcept {
  error = ::GetOverlappedResult(pipe, &call, &bytes, FALSE) ? ERROR_SUCCESS : ::GetLastError();
  return error != ERROR_IO_INCOMPLETE;
}

void end(native_handle pipe, OVERLAPPED& call) noexcept {
  DWORD bytes = 0;
  DWORD error = 0;
  ::CancelIoEx(pipe, &call);
  while (!has_ended(pipe, call, bytes, error)) ::Sleep(0);
}

void close_all(received_handles& handles) noexcept {
  for (foreign_handle& h : handles.items) h.reset();
  handles.count = 0;
}

}  // namespace

std::unique_ptr<pipe_state> pipe_state::create(handle connected, pipe_side side,
                                               std::error_code& error) noexcept {
  handle event(::CreateEventW(nullptr, FALSE, FALSE, nullptr));
  error = event ? std::error_code() : last_error();
  if (error) return nullptr;
  std::unique_ptr<pipe_state> made(new (std::nothrow)
                                       pipe_state(std::move(connected), std::move(event), side));
  if (!made) error = std::make_error_code(std::errc::not_enough_memory);
  return made;
}

pipe_state::pipe_state(handle connected, handle event, pipe_side side) noexcept
    : pipe_(std::move(connected)), event_(std::move(event)), side_(side) {
  begin_read();
}

pipe_state::~pipe_state() {
  // Handles that the server has put into this process, and that were not received yet, would stay
  // here for good.
  if (side_ == pipe_side::client && in_block_bytes_ != sizeof in_block_) {
    std::byte dropped;
    received_handles closed;
    (void)receive({&dropped, 1}, closed);
  }
  if (reading_) end(pipe_.get(), read_);
  if (writing_) end(pipe_.get(), write_);
}

// -- reading --

void pipe_state::begin_read() noexcept {
  read_ = {};
  read_.hEvent = event_.get();
  in_begin_ = in_end_ = 0;
  reading_ = ::ReadFile(pipe_.get(), in_.data(), static_cast<DWORD>(in_.size()), nullptr, &read_) ||
             ::GetLastError() == ERROR_IO_PENDING;
  if (reading_) return;
  ended_ = true;
  ::SetEvent(event_.get());
}

// Has bytes in the buffer afterwards, or returns why not: would_block, or peer_closed for a
// hang-up.
std::error_code pipe_state::fill() noexcept {
  // A read ends without bytes when the peer has written none, or when its thread has ended. A peer
  // that causes this all the time has to wait for its next turn.
  constexpr int attempts = 16;
  for (int i = 0; i < attempts; ++i) {
    if (in_begin_ != in_end_) return {};
    if (ended_) return errc::peer_closed;
    DWORD bytes = 0;
    DWORD error = 0;
    if (!has_ended(pipe_.get(), read_, bytes, error)) return errc::would_block;
    reading_ = false;
    if (error == ERROR_SUCCESS && bytes != 0) {
      in_end_ = bytes;
    } else if (error == ERROR_SUCCESS || error == ERROR_OPERATION_ABORTED) {
      begin_read();
    } else {
      ended_ = true;
      if (!says_gone(error)) return error_of(error);
    }
  }
  if (in_begin_ != in_end_) return {};
  ::SetEvent(event_.get());
  return errc::would_block;
}

std::size_t pipe_state::take(std::span<std::byte> into) noexcept {
  const std::size_t count = std::min(into.size(), in_end_ - in_begin_);
  std::memcpy(into.data(), in_.data() + in_begin_, count);
  in_begin_ += count;
  return count;
}

native_handle pipe_state::event() noexcept {
  DWORD bytes = 0;
  DWORD error = 0;
  if (!reading_ || has_ended(pipe_.get(), read_, bytes, error)) ::SetEvent(event_.get());
  return event_.get();
}

result<std::size_t> pipe_state::receive(std::span<std::byte> into,
                                        received_handles& handles) noexcept {
  if (into.empty()) return std::make_error_code(std::errc::invalid_argument);
  for (;;) {
    if (const std::error_code error = fill()) {
      if (error == errc::peer_closed) return std::size_t{0};
      return error;
    }
    if (in_block_bytes_ == sizeof in_block_) break;
    in_block_bytes_ +=
        take(std::as_writable_bytes(std::span(&in_block_, 1)).subspan(in_block_bytes_));
    const std::error_code error =
        in_block_bytes_ == sizeof in_block_ ? open_block() : std::error_code();
    if (error) {
      // The stream cannot continue.
      close_all(came_);
      close_all(handles);
      in_begin_ = in_end_;
      ended_ = true;
      return error;
    }
    if (in_begin_ == in_end_) begin_read();
  }
  if (came_.count > handles.items.size() - handles.count) {
    close_all(came_);
    close_all(handles);
    return errc::bad_peer;
  }
  const std::size_t count = take(into);
  for (std::size_t i = 0; i < came_.count; ++i)
    handles.items[handles.count++] = std::move(came_.items[i]);
  came_.count = 0;
  if (in_begin_ == in_end_) begin_read();
  return count;
}

bool pipe_state::drain() noexcept {
  // Enough for what a pipe holds. A peer that writes without end gets another turn later.
  constexpr int reads = 64;
  for (int i = 0; i < reads; ++i) {
    if (const std::error_code error = fill()) return error != errc::would_block;
    begin_read();
  }
  return false;
}

std::error_code pipe_state::signal_by(native_handle event) noexcept {
  std::error_code error;
  handle copy = duplicate_of(event, error);
  if (error) return error;
  if (reading_) end(pipe_.get(), read_);
  event_ = std::move(copy);
  // Bytes may have come before, or nothing has. The waiting side looks, and then begins the next
  // read.
  ::SetEvent(event_.get());
  return {};
}

// -- handles --

// Called when the block has come: takes ownership of the handles that it names.
std::error_code pipe_state::open_block() noexcept {
  if (!in_block_.valid()) return errc::bad_peer;
  if (side_ == pipe_side::server) {
    if (const std::error_code error = verify_client()) return error;
    if (in_block_.count != 0)
      if (const std::error_code error = open_client()) return error;
  }
  for (std::size_t i = 0; i < in_block_.count; ++i) {
    auto made = side_ == pipe_side::server ? client_.pull(in_block_.values[i])
                                           : accept_pushed(in_block_.values[i]);
    if (!made) return made.error();
    came_.items[came_.count++] = std::move(*made);
  }
  return {};
}

// When peer() asked for the owner of the client's process id, another process might already have
// had that id. The kernel names the user that wrote to the pipe, but only after something was read.
// So this function checks whether peer() was right.
std::error_code pipe_state::verify_client() noexcept {
  const auto told = peer();
  if (!told) return told.error();
  if (!::ImpersonateNamedPipeClient(pipe_.get())) return last_error();
  HANDLE opened = nullptr;
  const bool has_token = ::OpenThreadToken(::GetCurrentThread(), TOKEN_QUERY, TRUE, &opened);
  const std::error_code error = has_token ? std::error_code() : last_error();
  // Nothing may continue with the rights of another user.
  if (!::RevertToSelf()) std::terminate();
  if (error) return error;
  const handle token(opened);
  const auto wrote = user_of_token(token.get());
  if (!wrote) return wrote.error();
  return *wrote == told->user ? std::error_code() : make_error_code(errc::bad_peer);
}

std::error_code pipe_state::open_client() noexcept {
  if (client_) return {};
  auto opened = client_process::open(pipe_.get());
  if (!opened) return opened.error();
  client_ = std::move(*opened);
  return {};
}

// Writes the values that `handles` have in the client's process. On the client's side they exist;
// the server's side pushes them now.
std::error_code pipe_state::name_handles(std::span<const native_handle> handles,
                                         handle_block& block) noexcept {
  if (!handles.empty() && side_ == pipe_side::server)
    if (const std::error_code error = open_client()) return error;
  for (const native_handle h : handles) {
    std::uint64_t name = reinterpret_cast<std::uintptr_t>(h);
    if (rights_for_peer(type_of(h)) == 0) {
      take_back(block);
      return std::make_error_code(std::errc::invalid_argument);
    }
    if (side_ == pipe_side::server) {
      const auto pushed = client_.push(h);
      if (!pushed) {
        take_back(block);
        return pushed.error();
      }
      name = *pushed;
    }
    block.values[block.count++] = name;
  }
  return {};
}

void pipe_state::take_back(const handle_block& block) noexcept {
  if (side_ == pipe_side::server)
    for (std::size_t i = 0; i < block.count; ++i) client_.take_back(block.values[i]);
}

// -- writing --

result<std::size_t> pipe_state::send(std::span<const std::byte> bytes,
                                     std::span<const native_handle> handles) noexcept {
  if (handles.size() > received_handles::capacity ||
      (!handles.empty() && (bytes.empty() || block_sent_)))
    return std::make_error_code(std::errc::invalid_argument);
  if (bytes.empty()) return std::size_t{0};
  DWORD written = 0;
  DWORD error = ERROR_SUCCESS;
  if (writing_ && !has_ended(pipe_.get(), write_, written, error)) return errc::would_block;
  if (std::exchange(writing_, false) && error != ERROR_SUCCESS && error != ERROR_OPERATION_ABORTED)
    return errc::peer_closed;
  // Some of the bytes that were reported as sent are lost.
  if (error == ERROR_OPERATION_ABORTED) return errc::peer_closed;

  handle_block block;
  std::size_t size = 0;
  if (!block_sent_) {
    if (const std::error_code failed = name_handles(handles, block)) return failed;
    size = sizeof block;
    std::memcpy(out_.data(), &block, size);
  }
  const std::size_t count = std::min(bytes.size(), out_.size() - size);
  std::memcpy(out_.data() + size, bytes.data(), count);
  write_ = {};
  if (!::WriteFile(pipe_.get(), out_.data(), static_cast<DWORD>(size + count), nullptr, &write_) &&
      (error = ::GetLastError()) != ERROR_IO_PENDING) {
    take_back(block);
    if (says_gone(error)) return errc::peer_closed;
    return error_of(error);
  }
  writing_ = true;
  block_sent_ = true;
  return count;
}

// -- the peer --

result<peer_identity> pipe_state::peer() noexcept {
  if (!known_) {
    const auto asked = ask_for_peer();
    if (!asked) return asked.error();
    known_ = *asked;
  }
  return *known_;
}

result<peer_identity> pipe_state::ask_for_peer() const noexcept {
  const bool is_server = side_ == pipe_side::server;
  peer_identity who;
  ULONG id = 0;
  if (!(is_server ? ::GetNamedPipeClientProcessId(pipe_.get(), &id)
                  : ::GetNamedPipeServerProcessId(pipe_.get(), &id)))
    return last_error();
  who.process = id;
  result<user_id> user = user_id();
  if (is_server) {
    const handle process(::OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, id));
    if (!process)
      return ::GetLastError() == ERROR_INVALID_PARAMETER ? make_error_code(errc::peer_closed)
                                                         : last_error();
    user = user_of_process(process.get());
  } else {
    user = owner_of_pipe(pipe_.get());
  }
  if (!user) return user.error();
  who.user = *user;
  return who;
}

}  // namespace ringbell::sys
