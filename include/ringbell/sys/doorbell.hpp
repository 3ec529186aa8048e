// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <system_error>

namespace ringbell::sys {

/// One handle that becomes readable when a parked side has to look again: its bell was rung, or its peer hung up. For event loops that
/// are not ours: they wait on this one thing, which is nobody else's, whatever the kind of bell.
///
/// On Linux an epoll set of the control socket and the eventfd, elsewhere a second descriptor of the socket. An event loop may set O_NONBLOCK on it, or
/// not, without the peer noticing.
///
/// Thread-safety: one thread. Lifetime: closes only itself; what it watches may be closed before or after.
class doorbell {
public:
  doorbell() noexcept = default;
  /// Watches `control` for a hang-up, and for what is rung by `bell`, or by bytes on `control` when `bell` is `invalid_handle`. Errors: the system's;
  /// `errc::not_supported` for a bell where two processes can have none but the socket.
  static doorbell create(native_handle control, native_handle bell, std::error_code& error) noexcept;

  /// To be polled for reading, level-triggered or edge-triggered. Stays with this object.
  native_handle native() const noexcept { return set_.get(); }

  /// Makes it silent again until the next ring. True when the peer has hung up. Where bytes on the control socket are the bell, these must
  /// be taken from the socket instead (`local_socket::drain`, which also tells of a hang-up). Cost: one system call.
  bool answer() noexcept;

private:
  handle set_;
};

}  // namespace ringbell::sys
