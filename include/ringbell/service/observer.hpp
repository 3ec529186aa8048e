// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/local_socket.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace ringbell {

/// A call as an observer sees it.
struct observed_call {
  std::uint32_t method = 0;  ///< as the client says: any number
  std::uint32_t number =
      0;  ///< as the client numbers its calls; 0 at a client whose call ended before it had one
  std::size_t request_bytes = 0;         ///< as the server received them; 0 at the client
  std::size_t reply_bytes = 0;           ///< of the reply itself, without parts; 0 in `call_began`
  std::chrono::nanoseconds duration{0};  ///< 0 in `call_began`
  std::error_code error;                 ///< why it failed; success otherwise
};

/// Hears what a server does, for logs, metrics and traces. Override what interests you.
///
/// Called on the thread of the loop that does it (with a `loop_pool`, on several at the same time),
/// between two messages: be quick, do not throw, do not call back into the service. With an
/// observer each call costs two clock reads. Lifetime: outlives the server.
class server_observer {
public:
  virtual ~server_observer() = default;
  virtual void connected(const sys::peer_identity&) noexcept {}
  /// `why`: success for an orderly end; `errc::peer_closed`, `errc::bad_peer`,
  /// `errc::dropped_idle`, `errc::refused_stopping`, `errc::closed` when the server was destroyed.
  virtual void disconnected(const sys::peer_identity&, std::error_code /*why*/) noexcept {}
  virtual void call_began(const sys::peer_identity&, const observed_call&) noexcept {}
  /// For each that began; `errc::closed` when the server was destroyed meanwhile.
  virtual void call_ended(const sys::peer_identity&, const observed_call&) noexcept {}
  /// A request was refused: one of `errc::refused_*`, `errc::no_such_method`.
  virtual void refused(const sys::peer_identity&, std::error_code /*why*/) noexcept {}
};

/// The same for a client. May drop the last `client`: its connection then closes on the loop's next
/// turn.
class client_observer {
public:
  virtual ~client_observer() = default;
  virtual void connected(const sys::peer_identity& /*server*/) noexcept {}
  virtual void disconnected(std::error_code /*why*/) noexcept {}
  virtual void call_began(const observed_call&) noexcept {}
  virtual void call_ended(const observed_call&) noexcept {}
};

}  // namespace ringbell
