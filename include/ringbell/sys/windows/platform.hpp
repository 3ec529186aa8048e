// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>

namespace ringbell::sys {

using native_handle =
    void*;  // a HANDLE of an object that can be waited for, where something is to be watched
inline constexpr native_handle invalid_handle = nullptr;

/// A user's security identifier (SID), binary, with zeros behind it. All zeros: nobody.
struct user_id {
  std::array<std::uint8_t, 68> sid{};  // SECURITY_MAX_SID_SIZE
  friend auto operator<=>(const user_id&, const user_id&) = default;
};

/// An event can be set and reset by the peer that rings it, and by nothing can it make the other
/// side's calls block.
inline constexpr bool event_is_safe_between_users = true;

// A peer takes what was sent to it from this process: its handle has to stay open until there is an
// answer.
inline constexpr bool sent_handles_travel = false;

struct pipe_state;
struct pipe_instances;

/// One end of a named pipe, with the read that is always under way. Its handle is the event that
/// tells of that read.
class socket_end {
public:
  socket_end() noexcept;
  explicit socket_end(std::unique_ptr<pipe_state> state) noexcept;
  socket_end(socket_end&&) noexcept;
  socket_end& operator=(socket_end&&) noexcept;
  ~socket_end();
  native_handle get() const noexcept;
  explicit operator bool() const noexcept { return state_ != nullptr; }
  pipe_state* operator->() const noexcept { return state_.get(); }

private:
  std::unique_ptr<pipe_state> state_;
};

/// The instances of a named pipe that wait for clients. Its handle is the event that tells of one.
class listening_end {
public:
  listening_end() noexcept;
  explicit listening_end(std::unique_ptr<pipe_instances> state) noexcept;
  listening_end(listening_end&&) noexcept;
  listening_end& operator=(listening_end&&) noexcept;
  ~listening_end();
  native_handle get() const noexcept;
  explicit operator bool() const noexcept { return state_ != nullptr; }
  pipe_instances* operator->() const noexcept { return state_.get(); }
  void reset() noexcept;

private:
  std::unique_ptr<pipe_instances> state_;
};

}  // namespace ringbell::sys
