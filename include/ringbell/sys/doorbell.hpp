// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <system_error>

namespace ringbell::sys {

/// One handle that becomes readable when a parked side has to look again: its bell was rung, or its
/// peer hung up. For event loops that are not ours: they wait on this one thing, which is nobody
/// else's, whatever the kind of bell.
///
/// On Linux an epoll set of the control socket and the eventfd, on macOS and the BSDs a second
/// descriptor of the socket: an event loop may set O_NONBLOCK on it, or not, without the peer
/// noticing. On Windows the bell's event, by which the control socket then tells of a hang-up, too;
/// a wait on it takes it.
///
/// Thread-safety: one thread. Lifetime: closes only itself; what it watches may be closed before or
/// after.
class doorbell {
public:
  doorbell() noexcept = default;
  /// Watches `control` for a hang-up, and for what is rung by `bell`, or by bytes on `control` when
  /// `bell` is empty. May be readable at once, for nothing.
  /// Errors: the system's; `errc::not_supported` for a bell where two processes can have none but
  /// the socket.
  static doorbell create(local_socket& control, const event_bell& bell,
                         std::error_code& error) noexcept;

  /// To be polled for reading, level-triggered or edge-triggered. Stays with this object.
  native_handle native() const noexcept { return set_.get(); }

  /// Makes it silent again until the next ring. `control` is the one that it watches; bytes on it,
  /// where they are the bell, are taken (`local_socket::drain`). True when the peer has hung up.
  /// Cost: one system call; none on Windows.
  bool answer(local_socket& control) noexcept;

private:
  handle set_;
  [[maybe_unused]] bool by_bytes_ = false;  // Linux: the bell is bytes on the control socket
};

}  // namespace ringbell::sys
