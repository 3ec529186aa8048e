// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/local_socket.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace ringbell {

/// A call as an observer is told of it.
struct observed_call {
  std::uint32_t method = 0;  ///< as the client says: any number
  /// The number that the client gave the call; 0 on a client when the call ended before it had one.
  std::uint32_t number = 0;
  std::size_t request_bytes = 0;         ///< as the server received them; 0 on the client
  std::size_t reply_bytes = 0;           ///< of the reply itself, without parts; 0 in `call_began`
  std::chrono::nanoseconds duration{0};  ///< 0 in `call_began`
  std::error_code error;                 ///< why the call failed, or success
};

/// Is told what a server does, for logs, metrics and traces. Override the functions that interest
/// you. They are called between two messages: be quick, do not throw, and do not call back into the
/// service. With an observer each call costs two clock reads.
///
/// Thread-safety: called on the thread of the loop where the event happens; with a `loop_pool`, on
/// several threads at the same time.
/// Lifetime: the observer must outlive the server.
class server_observer {
public:
  virtual ~server_observer() = default;
  /// A client has connected.
  virtual void connected(const sys::peer_identity&) noexcept {}
  /// A client has gone. `why` is success when it closed in order, else `errc::peer_closed`,
  /// `errc::bad_peer`, `errc::dropped_idle`, `errc::refused_stopping`, or `errc::closed` when the
  /// server was destroyed.
  virtual void disconnected(const sys::peer_identity&, std::error_code /*why*/) noexcept {}
  /// A handler is about to be started for a request.
  virtual void call_began(const sys::peer_identity&, const observed_call&) noexcept {}
  /// Called for each call that began; the error is `errc::closed` when the server was destroyed
  /// meanwhile.
  virtual void call_ended(const sys::peer_identity&, const observed_call&) noexcept {}
  /// A request was refused: `why` is one of `errc::refused_*`, `errc::no_such_method` or
  /// `errc::timed_out`.
  virtual void refused(const sys::peer_identity&, std::error_code /*why*/) noexcept {}
};

/// Is told what a client does, as `server_observer` is of a server. It may drop the last `client`;
/// the connection then closes on the loop's next turn.
///
/// Thread-safety: called on the thread of the client's loop.
/// Lifetime: the observer must outlive the client.
class client_observer {
public:
  virtual ~client_observer() = default;
  /// These are called as those of `server_observer` are.
  virtual void connected(const sys::peer_identity& /*server*/) noexcept {}
  virtual void disconnected(std::error_code /*why*/) noexcept {}
  virtual void call_began(const observed_call&) noexcept {}
  virtual void call_ended(const observed_call&) noexcept {}
};

}  // namespace ringbell
