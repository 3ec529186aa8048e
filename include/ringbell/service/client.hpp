// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/task.hpp>
#include <ringbell/service/call_stream.hpp>
#include <ringbell/service/client_options.hpp>
#include <ringbell/service/codec.hpp>
#include <ringbell/service/detail/client_call.hpp>
#include <ringbell/service/method.hpp>
#include <ringbell/service/payload.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell {

/// A connection to a service (`server`) on which calls are made. Any number of calls may be under
/// way at the same time. A `client` is a handle and cheap to copy: all copies share one connection.
///
///     ringbell::client kv = co_await ringbell::client::connect(lp, "kv");
///     ringbell::payload value = co_await kv.call(get, "colour", 50ms);
///
/// Errors: a call throws `call_error` when the service answered with an error or refused the call.
/// Otherwise it throws `std::system_error`:
/// `errc::peer_closed` when the connection ended meanwhile; the request may have been carried out
/// or not, and is not repeated;
/// `errc::refused_stopping` or `errc::dropped_idle` when the server has said goodbye and the policy
/// is not to connect again; the errors of `connect` when the policy is to connect again;
/// `errc::wrong_loop` when it is awaited on another loop than the client's;
/// `errc::timed_out`, `errc::cancelled`, `errc::closed`, `errc::message_too_large`.
/// Thread-safety: the loop's thread; any number of its coroutines.
/// Cancellation: a stop ends a call at once. The server is told, the stop token of its handler
/// fires, and a reply that still comes is dropped.
/// Lifetime: the connection closes when the last copy and the last call are gone. A client that
/// outlives its loop is closed.
class client {
public:
  /// Makes a client that is not connected; assign another one to it.
  client() noexcept = default;
  /// Connects to the service `name`. While no server listens, tries again until the timeout in
  /// `options.connection`.
  /// Errors: throws as `ringbell::connect`.
  static task<client> connect(loop& lp, std::string name, client_options options = {});
  explicit operator bool() const noexcept { return static_cast<bool>(impl_); }

  template <class T>
  using call_awaitable = detail::call_awaitable<detail::borrowed<T>>;

  /// Calls `method` and waits for the reply. The result is a `payload`; parts of a streaming reply
  /// are joined.
  /// Errors: see the class.
  /// Cancellation: see the class.
  /// Lifetime: the bytes must stay valid until the call has ended. The call keeps a temporary that
  /// owns its bytes.
  call_awaitable<std::span<const std::byte>> call(std::uint32_t method,
                                                  std::span<const std::byte> request = {},
                                                  call_options options = {}) const noexcept {
    return call_awaitable<std::span<const std::byte>>(impl_, method,
                                                      detail::borrowed_bytes(request), options);
  }
  call_awaitable<std::span<const std::byte>> call(std::uint32_t method, std::string_view request,
                                                  call_options options = {}) const noexcept {
    return call(method, detail::as_bytes(request), options);
  }
  template <detail::owns_bytes Owner>
  auto call(std::uint32_t method, Owner&& temporary, call_options options = {}) const {
    using content = detail::owned_bytes<std::remove_const_t<Owner>>;
    return detail::call_awaitable<content>(impl_, method, content(std::forward<Owner>(temporary)),
                                           options);
  }
  /// Calls `method` with a value, which its `codec` writes into the ring. Example:
  /// `(co_await c.call_with(add, pair)).as<int>()`.
  /// Errors: as `call`, and what the codec throws.
  /// Cancellation: see the class.
  /// Lifetime: the value must stay valid until the call has ended. The call keeps a temporary.
  template <detail::encodable T>
  call_awaitable<T> call_with(std::uint32_t method, const T& request,
                              call_options options = {}) const noexcept {
    return call_awaitable<T>(impl_, method, detail::borrowed<T>(request), options);
  }
  template <detail::temporary_value T>
  auto call_with(std::uint32_t method, T&& temporary, call_options options = {}) const {
    using content = detail::owned<std::remove_const_t<T>>;
    return detail::call_awaitable<content>(impl_, method, content(std::forward<T>(temporary)),
                                           options);
  }

  /// Begins a call with parts in either direction (`call_stream`). The bytes are copied.
  call_stream open(std::uint32_t method, std::span<const std::byte> request = {},
                   call_options options = {}) const;
  call_stream open(std::uint32_t method, std::string_view request,
                   call_options options = {}) const {
    return open(method, detail::as_bytes(request), options);
  }

  /// Ends the connection in order. Calls that are under way fail with `errc::closed`, and so do
  /// later ones.
  void close() noexcept;
  /// Returns the identity of the server by the kernel's word, or an empty one when the client is
  /// not connected.
  sys::peer_identity peer() const noexcept;
  bool connected() const noexcept;
  /// Returns the length, in bytes, of the longest message that the service takes; 0 when the client
  /// is not connected. A message is a request or a part with its frame, which is at most 24 bytes
  /// and the metadata. Longer ones fail with `errc::message_too_large`.
  std::size_t max_message() const noexcept;
  /// Returns how many calls are under way.
  std::size_t calls() const noexcept;
  /// Returns the statistics of the present connection.
  channel_statistics statistics() const noexcept;

private:
  explicit client(detail::intrusive_ptr<detail::client_impl> impl) noexcept
      : impl_(std::move(impl)) {}
  detail::intrusive_ptr<detail::client_impl> impl_;
};

/// Connects, makes one call, and closes. The timeout in `call` limits the call; connecting has the
/// limit in `options`.
/// Errors: throws as `client::connect` and `client::call`.
/// Thread-safety: the loop's thread.
/// Cancellation: ends it at once, as for `client::connect` and `client::call`.
task<payload> call_once(loop& lp, std::string name, std::uint32_t method, std::string request,
                        call_options call = {}, client_options options = {});

}  // namespace ringbell
