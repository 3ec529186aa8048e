// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/connect_options.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>
#include <string_view>

namespace ringbell {

class client_observer;

/// What a `client` does after its connection has ended. Calls that were under way fail in any case.
/// They are not repeated, because it is not known whether they were carried out.
enum class reconnect_policy : unsigned char {
  give_up,  ///< Later calls fail with the reason why the connection ended.
  /// The next call connects again. If that fails, calls during the pause that follows fail at once
  /// with the same reason.
  with_backoff
};

/// Options of `client::connect`. Example:
/// `client::connect(lp, "kv", {.reconnect = reconnect_policy::with_backoff})`.
struct client_options {
  /// Ring sizes, the longest message that is received, and how long to try to connect.
  connect_options connection = {};
  reconnect_policy reconnect = reconnect_policy::give_up;
  /// The pause after the first attempt to reconnect that fails. Each further failure doubles it, up
  /// to `longest_pause`.
  time_limit first_pause = std::chrono::milliseconds(10);
  time_limit longest_pause = std::chrono::seconds(1);
  /// How many bytes are kept in all for what the service has sent and no coroutine has taken: parts
  /// of streams, and replies, including those that `call` joins from parts. A part counts 320 bytes
  /// beside its own. A call for which more arrives fails with `errc::refused_bytes`, unless nothing
  /// else is kept. One message that is arriving in fragments (at most `connection.max_message`
  /// bytes) is kept in addition.
  std::size_t max_buffered_bytes = std::size_t{64} << 20;
  /// The observer that is told of connections and calls; null for none.
  /// Lifetime: it must outlive the client.
  client_observer* observer = nullptr;
};

/// Options of one call. A duration alone, as in `c.call(method, bytes, 50ms)`, is its time limit.
struct call_options {
  call_options() noexcept {}
  /// Sets the time limit.
  template <class Rep, class Period>
  call_options(std::chrono::duration<Rep, Period> limit) noexcept : timeout{limit} {}
  /// How long the call may take, counted from its start; then it fails with `errc::timed_out`. The
  /// request carries the limit to the server, which asks the handler to stop when it passes. Zero
  /// means no limit; a negative limit has passed already.
  time_limit timeout = std::chrono::nanoseconds(0);
  /// Metadata for the handler beside the bytes, at most 4096 bytes.
  /// Lifetime: it must stay valid until the call has ended.
  std::string_view metadata;
};

}  // namespace ringbell
