// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/listener.hpp>
#include <ringbell/channel/stream.hpp>

#include <cstddef>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace ringbell {

namespace detail {

class accept_stream_awaiter final : public accept_awaiter {
public:
  using accept_awaiter::accept_awaiter;
  result<stream> take_result() noexcept {
    result<channel> accepted = accept_awaiter::take_result();
    if (!accepted) return accepted.error();
    try {
      return stream(std::move(*accepted));
    } catch (const std::bad_alloc&) {
      return std::make_error_code(std::errc::not_enough_memory);  // the client sees a hang-up
    }
  }
  stream await_resume() { return take_result().value(); }
};

}  // namespace detail

/// Accepts connections to a service of streams. A client that wants messages is refused with
/// `errc::refused_kind`. In all else it behaves as `listener` does.
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
  /// Errors, cancellation: as `listener::accept`. For lack of memory,
  /// `std::errc::not_enough_memory`; that client sees a hang-up.
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
