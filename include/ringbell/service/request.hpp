// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/stop_token.hpp>
#include <ringbell/detail/access.hpp>
#include <ringbell/detail/intrusive_ptr.hpp>
#include <ringbell/service/detail/call_flow.hpp>
#include <ringbell/service/payload.hpp>
#include <ringbell/service/reply.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell {

class request;

namespace detail {
class server_call;
class server_session;
void add_reference(server_call& call) noexcept;
void release_reference(server_call& call) noexcept;
/// The connection that the request came by; null once that has gone.
const server_session* session_of(const request& r) noexcept;
}  // namespace detail

/// What a handler gets: the method, the bytes, the metadata, the identity of the client, and the
/// deadline. For calls with parts, a handler reads the parts of the request and writes those of the
/// reply here.
///
/// The handler's stop token (`current_context()`), which all that it awaits observes, fires when
/// the client cancels or dies, when the deadline passes, and when the server is made to stop at
/// once. What the handler answers after that is normally dropped.
///
/// Thread-safety: the loop that runs the handler.
/// Lifetime: the bytes live as long as this object, which may outlive the handler. After the
/// handler has ended, `read` and `write` fail with `errc::closed`.
class request {
public:
  request(request&&) noexcept = default;
  request& operator=(request&&) noexcept = default;

  /// Returns the number of the method that is called.
  std::uint32_t method() const noexcept;
  /// Returns the bytes with their metadata.
  const payload& content() const noexcept;
  /// Return what `content()` has.
  std::span<const std::byte> bytes() const noexcept { return content().bytes(); }
  std::string_view text() const noexcept { return content().text(); }
  std::size_t size() const noexcept { return content().size(); }
  std::string_view metadata() const noexcept { return content().metadata(); }
  /// Returns the bytes as a `T`, decoded by its `codec`.
  /// Errors: throws what the codec throws. If the handler lets that pass, it answers the call.
  template <detail::decodable T>
  T as() const {
    return content().as<T>();
  }
  /// Returns the identity of the client by the kernel's word.
  const sys::peer_identity& peer() const noexcept;
  /// Returns the time at which the client gives up; nothing when it set no limit.
  std::optional<std::chrono::steady_clock::time_point> deadline() const noexcept;
  bool stop_requested() const noexcept;

  using read_awaitable = detail::awaitable<detail::read_awaiter, detail::call_flow*>;
  template <class T>
  using write_awaitable = detail::write_awaitable<detail::borrowed<T>>;

  /// Waits for the next part of a streaming request. The result is a `std::optional<payload>`; it
  /// is empty after the last part, and at once when the request has no parts.
  /// Errors: throws `errc::busy` when another read is pending, `errc::cancelled`, and the reason
  /// why the call is over, such as `errc::closed`.
  /// Cancellation: a stop ends the wait with `errc::cancelled`; no part is lost.
  read_awaitable read() noexcept { return read_awaitable(impl()); }
  /// Sends a part of the reply. Waits for the client's credit and for space. The reply itself ends
  /// the parts.
  /// Errors: as `read`, and `errc::refused_bytes`, `errc::message_too_large`.
  /// Cancellation: a stop ends the wait with `errc::cancelled`; the part was then not sent.
  /// Lifetime: the bytes must stay valid until the part is sent. The operation keeps a temporary
  /// that owns its bytes.
  write_awaitable<std::span<const std::byte>> write(std::span<const std::byte> part) noexcept {
    return write_awaitable<std::span<const std::byte>>(impl(), detail::borrowed_bytes(part));
  }
  write_awaitable<std::span<const std::byte>> write(std::string_view part) noexcept {
    return write(detail::as_bytes(part));
  }
  template <detail::owns_bytes Owner>
  auto write(Owner&& temporary) {
    using content = detail::owned_bytes<std::remove_const_t<Owner>>;
    return detail::write_awaitable<content>(impl(), content(std::forward<Owner>(temporary)));
  }
  template <detail::encodable T>
  write_awaitable<T> write_value(const T& part) noexcept {
    return write_awaitable<T>(impl(), detail::borrowed<T>(part));
  }
  template <detail::temporary_value T>
  auto write_value(T&& temporary) {
    using content = detail::owned<std::remove_const_t<T>>;
    return detail::write_awaitable<content>(impl(), content(std::forward<T>(temporary)));
  }

private:
  friend struct detail::access;
  explicit request(detail::server_call& call) noexcept : call_(call) {}
  friend const detail::server_session* detail::session_of(const request& r) noexcept;
  detail::call_flow* impl() noexcept;
  detail::intrusive_ptr<detail::server_call> call_;
};

}  // namespace ringbell
