// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/listener.hpp>
#include <ringbell/channel/stream.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace ringbell {

namespace detail {

class accept_stream_awaiter final : public accept_awaiter {
public:
  using accept_awaiter::accept_awaiter;
  result<stream> take_result() {
    result<channel> accepted = accept_awaiter::take_result();
    if (!accepted) return accepted.error();
    return stream(std::move(*accepted));
  }
  stream await_resume() { return take_result().value(); }
};

}  // namespace detail

/// Accepts connections to a service of streams. A client that wants messages is refused with
/// `errc::refused_kind`. Otherwise it is as `listener`.
class stream_listener {
public:
  using accept_awaitable = detail::awaitable<detail::accept_stream_awaiter, detail::listener_impl*>;

  /// Listens under `name`: a name, or a path when it contains a slash.
  /// Errors: throws as `listener::bind`.
  static stream_listener bind(loop& lp, std::string_view name, listener_options options = {}) {
    return stream_listener(
        listener::bind(lp, name, std::move(options), handshake::record_kind::stream));
  }

  /// Waits for the next client. The result is a `stream`.
  /// Errors, cancellation: as `listener::accept`.
  accept_awaitable accept() noexcept { return accept_awaitable(listener_.impl()); }

  /// Returns the path of the socket, for messages.
  const std::string& path() const noexcept { return listener_.path(); }
  /// Returns how many clients are connected, including those that have not been accepted yet.
  std::size_t clients() const noexcept { return listener_.clients(); }

private:
  explicit stream_listener(listener l) noexcept : listener_(std::move(l)) {}
  listener listener_;
};

}  // namespace ringbell
