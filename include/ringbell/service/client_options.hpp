// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/connect_options.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>
#include <string_view>

namespace ringbell {

class client_observer;

/// What a `client` does when its connection has ended. Calls that were under way fail in any case,
/// and are not repeated: nobody can know whether they were carried out.
enum class reconnect_policy : unsigned char {
  give_up,  ///< Later calls fail with the reason why it ended.
  /// The next call connects again; when that fails, calls within the pause that follows fail at
  /// once, with the same reason.
  with_backoff
};

/// How to connect to a service, and what then: `client::connect(lp, "kv", {.reconnect =
/// reconnect_policy::with_backoff})`.
struct client_options {
  /// Ring sizes, the longest message that is taken, how long to try to connect.
  connect_options connection;
  reconnect_policy reconnect = reconnect_policy::give_up;
  /// The pause after the first attempt to reconnect that failed, doubled with each further one, up
  /// to the longest.
  time_limit first_pause = std::chrono::milliseconds(10);
  time_limit longest_pause = std::chrono::seconds(1);
  /// Bytes that are kept in all for what the service has sent and no coroutine has taken: parts of
  /// streams, and replies, also those that `call` joins of parts. A part counts 320 bytes beside
  /// its own. A call for which more comes fails with `errc::refused_bytes`, unless it is alone. One
  /// message that is arriving in fragments (at most `connection.max_message`) comes on top.
  std::size_t max_buffered_bytes = std::size_t{64} << 20;
  /// Hears of connections and calls; must outlive the client. Null: nobody.
  client_observer* observer = nullptr;
};

struct call_options {
  call_options() noexcept {}
  /// A time limit, as in `c.call(method, bytes, 50ms)`.
  template <class Rep, class Period>
  call_options(std::chrono::duration<Rep, Period> limit) noexcept : timeout{limit} {}
  /// When the call fails with `errc::timed_out`, counted from its start. The server hears of it
  /// with the request, and its handler is asked to stop. Zero: no limit. Negative: it has passed
  /// already.
  time_limit timeout = std::chrono::nanoseconds(0);
  /// For the handler's eyes, beside the bytes; at most 4096 of them. Must stay until the call has
  /// ended.
  std::string_view metadata;
};

}  // namespace ringbell
