// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>

namespace ringbell::sys {

/// A HANDLE. Where something is to be watched, it is that of an object that can be waited for.
using native_handle = void*;
inline constexpr native_handle invalid_handle = nullptr;

/// A user's security identifier (SID), in binary form, padded with zeros. When it is all zeros it
/// stands for no user.
struct user_id {
  std::array<std::uint8_t, 68> sid{};  // SECURITY_MAX_SID_SIZE
  friend auto operator<=>(const user_id&, const user_id&) = default;
};

/// The peer that rings an event can set and reset it, but cannot make the other side's calls block.
inline constexpr bool event_is_safe_between_users = true;

// A peer takes what was sent to it from this process, so the sent handle has to stay open until
// there is an answer.
inline constexpr bool sent_handles_travel = false;

struct pipe_state;
struct pipe_instances;

/// One end of a named pipe, with a read that is always in progress. Its handle is the event of that
/// read.
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

/// The instances of a named pipe that wait for clients. Its handle is the event that is set when a
/// client connects.
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
