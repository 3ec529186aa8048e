// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/settings.hpp>

#include <cstring>
#include <system_error>
#include <type_traits>

namespace ringbell {

/// The errors of this library. Each value converts to a `std::error_code` of
/// `ringbell::category()`. It compares equal to the `std::errc` that is named beside it, so
/// portable code need not know ringbell's own list.
enum class errc {
  peer_closed = 1,  ///< The peer died, or will never read again (std::errc::connection_reset).
  /// The peer closed its sending side in order, and everything that it sent has been received.
  end_of_stream,
  /// A stop was requested (std::errc::operation_canceled). Nothing was consumed or published.
  cancelled,
  timed_out,  ///< The deadline passed first (std::errc::timed_out).
  /// try_*: there is nothing to receive, or no space to send (std::errc::operation_would_block).
  would_block,
  /// The same operation is already pending on this object (std::errc::operation_in_progress).
  busy,
  closed,  ///< This side has closed that direction (std::errc::broken_pipe).
  /// The message is longer than the limit, the claim or the buffer allows
  /// (std::errc::message_size).
  message_too_large,
  /// The peer broke the protocol: an impossible index, length or frame (std::errc::protocol_error).
  bad_peer,
  /// The peer's memory is not sealed, or not of the announced size (std::errc::protocol_error).
  bad_region,
  bad_name,       ///< The service name or path cannot be used (std::errc::invalid_argument).
  bad_ring_size,  ///< Not a power of two, or outside the limits (std::errc::invalid_argument).
  name_in_use,    ///< A live server has that name (std::errc::address_in_use).
  no_server,      ///< No server listened there until the deadline (std::errc::connection_refused).
  /// The server supports no protocol version that this library supports
  /// (std::errc::connection_refused).
  refused_version,
  /// The server's authorizer refused this client (std::errc::permission_denied).
  refused_unauthorized,
  /// The server has as many clients as it allows (std::errc::connection_refused).
  refused_too_many,
  /// The server has as many clients of this user as it allows for one user
  /// (std::errc::connection_refused).
  refused_too_many_of_user,
  /// The server does not accept rings of that size (std::errc::invalid_argument).
  refused_ring_size,
  refused_bell,      ///< Both sides have no kind of bell in common (std::errc::connection_refused).
  refused_stopping,  ///< The server is stopping (std::errc::connection_refused).
  /// The server did not understand the greeting (std::errc::protocol_error).
  refused_malformed,
  not_supported,  ///< This loop or kernel does not support it (std::errc::operation_not_supported).
  /// As many requests of this client are in progress as the server allows
  /// (std::errc::resource_unavailable_try_again).
  refused_in_flight,
  /// As many bytes are buffered for this peer as `max_buffered_bytes` of the server or of the
  /// client allows (std::errc::resource_unavailable_try_again).
  refused_bytes,
  no_such_method,  ///< The service has no such method (std::errc::function_not_supported).
  handler_failed,  ///< The service's handler threw an exception without an error code.
  /// The server closed the connection because it was idle for longer than the server allows
  /// (std::errc::connection_aborted).
  dropped_idle,
  /// The folder of this user's service names belongs to another user or is open to others, or the
  /// server belongs to another user (std::errc::permission_denied).
  unsafe_directory,
  /// The server has no descriptors, or no memory, left for another client
  /// (std::errc::connection_refused).
  refused_no_resources,
  /// The object belongs to another loop than the awaiting coroutine
  /// (std::errc::operation_not_permitted).
  wrong_loop,
  /// The server sends messages where the client wants a stream of bytes, or the other way round
  /// (std::errc::wrong_protocol_type).
  refused_kind,
};

/// The category of `errc`. Its messages say what happened and what to do.
/// Thread-safety: any thread.
const std::error_category& category() noexcept;

inline std::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), category()};
}

namespace detail {

/// Whether two categories are the same, or copies of the same one: a plug-in that links its own
/// copy of this library has its own category.
inline bool same_category(const std::error_category& a, const std::error_category& b) noexcept {
  return a == b || std::strcmp(a.name(), b.name()) == 0;
}

}  // namespace detail

/// Whether `code` has the value `e`, from this copy of the library or from another one in the
/// process. (The `std::error_code`s of two copies differ.)
/// Thread-safety: any thread.
inline bool operator==(const std::error_code& code, errc e) noexcept {
  return code.value() == static_cast<int>(e) && detail::same_category(code.category(), category());
}

}  // namespace ringbell

template <>
struct std::is_error_code_enum<ringbell::errc> : std::true_type {};
