// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <system_error>

namespace ringbell::sys {

/// One handle that becomes readable when a parked side has to look again: its bell was rung, or its
/// peer hung up. It is for foreign event loops. They wait on this one handle, which nothing else
/// uses, whatever the kind of bell.
///
/// On Linux it is an epoll set of the control socket and the eventfd. On macOS and the BSDs it is a
/// second descriptor of the socket. In both cases an event loop may set O_NONBLOCK on it, or not,
/// without affecting the peer. On Windows it is the bell's event, which the control socket then
/// also sets when the peer hangs up. A successful wait resets it.
///
/// Thread-safety: one thread.
/// Lifetime: closes only itself. The handles that it watches may be closed before or after it.
class doorbell {
public:
  doorbell() noexcept = default;
  /// Watches `control` for a hang-up, and `bell` for rings; when `bell` is empty, bytes on
  /// `control` are the rings. It may be readable at once, without a reason.
  /// Errors: the system's; `errc::not_supported` for a bell on a system where only sockets can be
  /// bells between two processes.
  static doorbell create(local_socket& control, const event_bell& bell,
                         std::error_code& error) noexcept;

  /// To be polled for reading, level-triggered or edge-triggered. This object keeps the ownership.
  native_handle native() const noexcept { return set_.get(); }

  /// Makes it silent again until the next ring. `control` is the socket that it watches; when bytes
  /// on it are the bell, they are taken (`local_socket::drain`). Returns true when the peer has
  /// hung up.
  /// Cost: one system call; none on Windows.
  bool answer(local_socket& control) noexcept;

private:
  handle set_;
  [[maybe_unused]] bool by_bytes_ = false;  // Linux: the bell is bytes on the control socket
};

}  // namespace ringbell::sys
