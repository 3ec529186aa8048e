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

/// A connection to a service (`server`) on which calls are made, as many at the same time as you
/// like. A handle, cheap to copy: all copies are one connection, which closes when the last of
/// them, and the last call, is gone.
///
///     ringbell::client kv = co_await ringbell::client::connect(lp, "kv");
///     ringbell::payload value = co_await kv.call(get, "colour", 50ms);
///
/// Calls throw `call_error` when the service answered with an error, or refused (see there), and
/// `std::system_error` otherwise: `errc::peer_closed` when the connection ended meanwhile (whether
/// the request was carried out nobody knows; it is not repeated), `errc::timed_out`,
/// `errc::cancelled`, `errc::message_too_large`, `errc::refused_stopping` or `errc::dropped_idle`
/// when the server has said goodbye and the policy is not to connect again; those of `connect` when
/// it is.
///
/// Cancellation: a stop ends a call at once; the server is told, its handler sees its own stop
/// token fire, and a reply that still comes is dropped.
/// Thread-safety: the loop's thread; any number of its coroutines. Lifetime: a client that outlives
/// its loop is closed. Awaited on another loop than its own a call ends with `errc::wrong_loop`.
class client {
public:
  /// Not connected; to be assigned to.
  client() noexcept = default;
  /// Connects; tries again while nobody listens, until the timeout in `options.connection`. Throws
  /// as `ringbell::connect`.
  static task<client> connect(loop& lp, std::string name, client_options options = {});
  explicit operator bool() const noexcept { return static_cast<bool>(core_); }

  template <class T>
  using call_awaitable = detail::call_awaitable<detail::borrowed<T>>;

  /// Calls `method` and waits for the reply: a `payload`. The bytes must stay until then; those of
  /// a temporary are kept. Parts of a streaming reply are joined.
  call_awaitable<std::span<const std::byte>> call(std::uint32_t method,
                                                  std::span<const std::byte> request = {},
                                                  call_options options = {}) const noexcept {
    return call_awaitable<std::span<const std::byte>>(core_, method,
                                                      detail::borrowed_bytes(request), options);
  }
  call_awaitable<std::span<const std::byte>> call(std::uint32_t method, std::string_view request,
                                                  call_options options = {}) const noexcept {
    return call(method, detail::as_bytes(request), options);
  }
  template <detail::owns_bytes Owner>
  auto call(std::uint32_t method, Owner&& temporary, call_options options = {}) const {
    using content = detail::owned_bytes<std::remove_const_t<Owner>>;
    return detail::call_awaitable<content>(core_, method, content(std::forward<Owner>(temporary)),
                                           options);
  }
  /// The same with a value, which its `codec` writes into the ring. `co_await c.call_with(add,
  /// pair)`, then `.as<int>()`.
  template <detail::encodable T>
  call_awaitable<T> call_with(std::uint32_t method, const T& request,
                              call_options options = {}) const noexcept {
    return call_awaitable<T>(core_, method, detail::borrowed<T>(request), options);
  }
  template <detail::temporary_value T>
  auto call_with(std::uint32_t method, T&& temporary, call_options options = {}) const {
    using content = detail::owned<std::remove_const_t<T>>;
    return detail::call_awaitable<content>(core_, method, content(std::forward<T>(temporary)),
                                           options);
  }

  /// Begins a call with parts in either direction. The bytes are copied. See `call_stream`.
  call_stream open(std::uint32_t method, std::span<const std::byte> request = {},
                   call_options options = {}) const;
  call_stream open(std::uint32_t method, std::string_view request,
                   call_options options = {}) const {
    return open(method, detail::as_bytes(request), options);
  }

  /// Ends the connection, in order; calls that are under way fail with `errc::closed`, and so do
  /// later ones.
  void close() noexcept;
  /// Who serves, by the kernel's word; nobody when not connected.
  sys::peer_identity peer() const noexcept;
  bool connected() const noexcept;
  /// The longest message that the service takes: a request or a part with its frame, at most 24
  /// bytes and the metadata; longer ones end with `errc::message_too_large`. 0 when not connected.
  std::size_t max_message() const noexcept;
  /// Calls that are under way.
  std::size_t calls() const noexcept;
  /// Of the present connection.
  channel_statistics statistics() const noexcept;

private:
  explicit client(detail::client_ref core) noexcept : core_(std::move(core)) {}
  detail::client_ref core_;
};

/// Connects, calls, and closes. Throws as `client::connect` and `client::call`; the timeout is that
/// of the call, beside the one of `options`.
task<payload> call_once(loop& lp, std::string name, std::uint32_t method, std::string request,
                        call_options call = {}, client_options options = {});

}  // namespace ringbell
