// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/local_socket.hpp>

#include "sys/posix/closing_thread.hpp"
#include "sys/posix/socket_calls.hpp"

namespace ringbell::sys {

socket_end::socket_end(handle&& connected) noexcept
    : fd_(connected.release()), process_(current_process()) {}

bool socket_end::let_no_handles_in() noexcept {
  const handles_kept_out done = keep_handles_out(fd_);
  lets_handles_in_ = done != handles_kept_out::yes;
  return done != handles_kept_out::too_late;
}

void socket_end::close() noexcept {
  handle closing(std::exchange(fd_, invalid_handle));
  // A forked child closes only a copy: its parent takes the contents out of the socket.
  if (closing && lets_handles_in_ && process_ == current_process() &&
      may_hold_handles(closing.get()))
    close_unread(std::move(closing));
}

}  // namespace ringbell::sys
