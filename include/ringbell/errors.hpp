// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/settings.hpp>

#include <cstring>
#include <system_error>
#include <type_traits>

namespace ringbell {

/// What can go wrong, in the terms of this library. Each converts to a `std::error_code` of
/// `ringbell::category()`, and compares equal to the `std::errc` named beside it, so portable code
/// need not know ringbell's own list.
enum class errc {
  peer_closed = 1,  ///< The peer died, or will never read again (std::errc::connection_reset).
  /// The peer closed its sending side in order; everything it sent has been received.
  end_of_stream,
  /// A stop was requested (std::errc::operation_canceled). Nothing was consumed or published.
  cancelled,
  timed_out,  ///< The deadline passed first (std::errc::timed_out).
  /// try_*: nothing to receive, or no space to send (std::errc::operation_would_block).
  would_block,
  /// The same operation is already pending on this object (std::errc::operation_in_progress).
  busy,
  closed,  ///< This side closed that direction itself (std::errc::broken_pipe).
  /// Longer than the limit, the claim or the buffer allows (std::errc::message_size).
  message_too_large,
  /// The peer broke the protocol: an impossible index, length or frame (std::errc::protocol_error).
  bad_peer,
  /// The peer's memory is not sealed, or not of the size it said (std::errc::protocol_error).
  bad_region,
  bad_name,       ///< A service name or path that cannot be used (std::errc::invalid_argument).
  bad_ring_size,  ///< Not a power of two, or outside the limits (std::errc::invalid_argument).
  name_in_use,    ///< A live server has that name (std::errc::address_in_use).
  no_server,      ///< Nobody listened there until the deadline (std::errc::connection_refused).
  /// The server speaks no protocol version that this library knows (std::errc::connection_refused).
  refused_version,
  refused_unauthorized,  ///< The server's authorizer said no (std::errc::permission_denied).
  /// The server has as many clients as it allows (std::errc::connection_refused).
  refused_too_many,
  /// The server has as many clients of this user as it allows one user
  /// (std::errc::connection_refused).
  refused_too_many_of_user,
  /// The server does not accept rings of that size (std::errc::invalid_argument).
  refused_ring_size,
  refused_bell,      ///< No kind of bell that both sides can use (std::errc::connection_refused).
  refused_stopping,  ///< The server is going away (std::errc::connection_refused).
  /// The server could not make sense of the greeting (std::errc::protocol_error).
  refused_malformed,
  not_supported,  ///< This loop or kernel cannot do it (std::errc::operation_not_supported).
  /// The server has as many requests of this client under way as it allows
  /// (std::errc::resource_unavailable_try_again).
  refused_in_flight,
  /// ... or keeps as many bytes for it: `max_buffered_bytes`, of the server or of the client
  /// (std::errc::resource_unavailable_try_again).
  refused_bytes,
  no_such_method,  ///< The service has no such method (std::errc::function_not_supported).
  handler_failed,  ///< The service's handler threw something that has no code of its own.
  /// The server closed the connection, idle for longer than it allows
  /// (std::errc::connection_aborted).
  dropped_idle,
  /// The folder of this user's service names is another user's or open to others, or so is the
  /// server (std::errc::permission_denied).
  unsafe_directory,
  /// The server has no descriptors, or no memory, left for another client
  /// (std::errc::connection_refused).
  refused_no_resources,
  /// Awaited in a coroutine of another loop than its own (std::errc::operation_not_permitted).
  wrong_loop,
};

/// The category of `errc`. Its messages say what happened and what to do. Thread-safe.
const std::error_category& category() noexcept;

inline std::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), category()};
}

namespace detail {

/// Whether two categories are one, or copies of it: a plug-in that has this library linked into
/// itself has a category of its own.
inline bool same_category(const std::error_category& a, const std::error_category& b) noexcept {
  return a == b || std::strcmp(a.name(), b.name()) == 0;
}

}  // namespace detail

/// Whether `code` is `e`, of this copy of the library or of another one in the process. (Two
/// `std::error_code`s of two copies differ.) Thread-safe.
inline bool operator==(const std::error_code& code, errc e) noexcept {
  return code.value() == static_cast<int>(e) &&
         detail::same_category(code.category(), category());
}

}  // namespace ringbell

template <>
struct std::is_error_code_enum<ringbell::errc> : std::true_type {};
