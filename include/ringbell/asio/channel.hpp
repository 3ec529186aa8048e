// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/channel_operations.hpp>
#include <ringbell/asio/detail/gathered.hpp>
#include <ringbell/asio/detail/handled_operation.hpp>
#include <ringbell/asio/detail/initiate_send.hpp>
#include <ringbell/asio/detail/limited.hpp>
#include <ringbell/channel/statistics.hpp>
#include <ringbell/detail/access.hpp>
#include <ringbell/time_limit.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// The members that do not depend on a channel's executor.
class asio_channel_base {
public:
  /// What `async_wait` waits for: something to receive (`recv`), space to send (`send`), or, with
  /// `wait_recv | wait_send`, either of them.
  enum class wait_type : unsigned { recv = towards_us, send = towards_peer };
  static constexpr wait_type wait_recv = wait_type::recv;
  static constexpr wait_type wait_send = wait_type::send;
  friend constexpr wait_type operator|(wait_type a, wait_type b) noexcept {
    return static_cast<wait_type>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
  }

protected:
  ~asio_channel_base() = default;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// The bytes of a message, or of claimed space, as an Asio buffer. They are found by the type of
/// their argument, as in `ch.async_send(buffer(m), token)`.
inline net::const_buffer buffer(const message& m) noexcept { return {m.data(), m.size()}; }
inline net::mutable_buffer buffer(const claim& c) noexcept {
  return {c.bytes().data(), c.bytes().size()};
}

/// A `channel` as an Asio I/O object: its waits are asynchronous operations on an executor, with
/// any completion token.
///
/// Errors, as `error_code`:
/// `asio::error::eof` when the peer has closed in order and everything was received;
/// `connection_reset` when the peer has died, after everything that it had published was received;
/// `operation_aborted` when cancelled, or when the channel was closed, moved or destroyed;
/// `bad_descriptor` on a channel that is not open;
/// `timed_out` after a time limit;
/// `message_size`, `no_memory`;
/// and ringbell's own `errc::bad_peer`, and `errc::busy` for a second operation in one direction
/// (receiving: async_recv, async_recv_into, async_wait; sending: async_send, async_claim,
/// async_wait).
///
/// Cancellation: each operation by its handler's cancellation slot, of any type (terminal, partial,
/// total); all of them by `cancel`. A cancelled receive has consumed nothing. A cancelled send has
/// published nothing, and the peer sees nothing of it.
///
/// Handlers: they are called by the executor, and never from within the initiating function. The
/// exceptions are a channel without an executor, made by its default constructor, and lack of
/// memory for a turn. Initiating functions do not throw. Operations run on the handler's associated
/// executor, and take their memory from its associated allocator.
///
/// Thread-safety: that of a socket. Distinct objects may be used in distinct threads, one object
/// only in one strand (explicit, or implicit as in a chain of operations). Messages and claims
/// belong to the same strand.
/// Lifetime: begin operations only while the execution context lives. The other members may be used
/// after it has gone, and so may closing and destruction. Messages and claims may outlive both.
template <class Executor = net::any_io_executor>
class basic_asio_channel : public detail::asio_channel_base {
public:
  /// The executor's type, and the same kind of object for another one, as Asio's I/O objects have.
  using executor_type = Executor;
  template <class Other>
  struct rebind_executor {
    using other = basic_asio_channel<Other>;
  };

  /// Makes a channel that is not open and has no executor; assign another one to it.
  basic_asio_channel() noexcept
    requires std::is_nothrow_default_constructible_v<Executor>
  = default;
  /// Makes a channel that is not open.
  explicit basic_asio_channel(const Executor& executor) noexcept : executor_(executor) {}
  template <class ExecutionContext>
    requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
  explicit basic_asio_channel(ExecutionContext& context) : executor_(context.get_executor()) {}

  /// Moves the channel. Pending operations on `other` end with `operation_aborted`, and can be
  /// started again here.
  basic_asio_channel(basic_asio_channel&& other) noexcept
      : executor_(other.executor_), impl_(detail::access::take_impl_of(other)) {}
  template <class Other>
    requires std::is_convertible_v<Other, Executor>
  basic_asio_channel(basic_asio_channel<Other>&& other)
      : executor_(other.get_executor()), impl_(detail::access::take_impl_of(other)) {}
  basic_asio_channel& operator=(basic_asio_channel&& other) noexcept {
    if (this != &other) {
      close();
      executor_ = other.executor_;
      impl_ = detail::access::take_impl_of(other);
    }
    return *this;
  }
  template <class Other>
    requires std::is_convertible_v<Other, Executor>
  basic_asio_channel& operator=(basic_asio_channel<Other>&& other) {
    *this = basic_asio_channel(std::move(other));
    return *this;
  }
  /// Closes the channel, as `close` does.
  ~basic_asio_channel() { close(); }

  /// Return the executor, and whether the object is open.
  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return impl_ != nullptr; }

  /// Waits for the next message.
  /// Completion signature: `void(error_code, message)`.
  template <class Token = net::default_completion_token_t<Executor>>
    requires(!std::is_convertible_v<Token, time_limit>)
  auto async_recv(Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::recv_operation, void(net_error_code, message)>(
        std::forward<Token>(token), this);
  }
  /// As above, but ends with `timed_out` after `limit`. A message that comes later is there for the
  /// next receive. The end and the death of the peer are seen as without a limit. A message that is
  /// there already is received, also with a limit of zero or less.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_recv(time_limit limit, Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::limited<detail::recv_operation>, void(net_error_code, message)>(
        std::forward<Token>(token), this, limit);
  }
  /// Waits for the next message and copies it to `buffer`. The result is the length of the message
  /// in bytes. Use it for bytes that the peer must not be able to change while you check them.
  /// Completion signature: `void(error_code, size_t)`.
  /// Errors: `message_size` when the message does not fit the buffer; it can then still be
  /// received.
  /// Lifetime: the buffer must stay valid until the operation has ended.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_recv_into(net::mutable_buffer buffer,
                       Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::recv_into_operation, void(net_error_code, std::size_t)>(
        std::forward<Token>(token), this,
        std::span(static_cast<std::byte*>(buffer.data()), buffer.size()));
  }
  /// Sends the buffers as one message. Waits only while the ring is full. The message may have up
  /// to `max_message()` bytes; one that is longer than `max_claim()` is sent in fragments, which
  /// the peer joins.
  /// Completion signature: `void(error_code)`.
  /// Lifetime: the memory must stay valid until the operation has ended.
  template <class Buffers, class Token = net::default_completion_token_t<Executor>>
    requires(!std::is_convertible_v<Token, time_limit>)
  auto async_send(const Buffers& buffers,
                  Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate_send<detail::send_operation>(std::forward<Token>(token), buffers);
  }
  /// As above, but ends with `timed_out` after `limit`, for a peer that may not read. Nothing was
  /// sent then.
  template <class Buffers, class Token = net::default_completion_token_t<Executor>>
  auto async_send(const Buffers& buffers, time_limit limit,
                  Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate_send<detail::limited<detail::send_operation>>(std::forward<Token>(token),
                                                                  buffers, limit);
  }
  /// Waits for space in the ring for one message of `size` bytes, at most `max_claim()`. The
  /// message is written in place.
  /// Completion signature: `void(error_code, claim)`.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_claim(std::size_t size, Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::claim_operation, void(net_error_code, claim)>(
        std::forward<Token>(token), this, size);
  }
  /// Waits until there is something to receive, or space to send, or until an attempt would fail.
  /// Completion signature: `void(error_code)`.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_wait(wait_type what, Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::wait_operation, void(net_error_code)>(
        std::forward<Token>(token), this, static_cast<detail::directions>(what));
  }

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT
  /// Waits for the next message in a coroutine. It is faster than `async_recv`, because it does not
  /// suspend while there is something to receive or is about to be. The result is empty when the
  /// peer has closed in order. Now and then it lets the executor's other work go first. Where the
  /// coroutine can be cancelled, as in `a || b`, it is an `async_recv`, so that no message is lost.
  /// Errors: throws the other errors of `async_recv`.
  net::awaitable<std::optional<message>, Executor> recv();
  /// As above, with a time limit.
  /// Errors: throws also `timed_out` when nothing has come within `limit`.
  net::awaitable<std::optional<message>, Executor> recv(time_limit limit);
  /// Sends the buffers in a coroutine. It does not suspend while there is space.
  /// Errors: throws those of `async_send`.
  template <class Buffers>
  net::awaitable<void, Executor> send(Buffers buffers);
#endif

  /// Returns the next message if there is one now, else an empty message.
  /// Errors: `would_block`, and those of `async_recv`.
  message try_recv(net_error_code& error) noexcept;
  /// Sends one message without waiting, or not at all.
  /// Errors: `would_block` when the ring is full, `message_size` when the message is longer than
  /// `max_claim()`, else those of `async_send`.
  template <class Buffers>
  net_error_code try_send(const Buffers& buffers);
  /// Claims space without waiting, or not at all.
  /// Errors: those of `try_send`.
  claim try_claim(std::size_t size, net_error_code& error) noexcept;

  /// Returns the length, in bytes, of the longest message that can be claimed or sent by
  /// `try_send`.
  std::size_t max_claim() const noexcept { return impl_ ? impl_->ring().max_claim() : 0; }
  /// Returns the length, in bytes, of the longest message that the peer takes.
  std::size_t max_message() const noexcept { return impl_ ? impl_->ring().max_message() : 0; }

  /// Ends all pending operations with `operation_aborted`.
  void cancel() noexcept {
    if (impl_) impl_->cancel(detail::towards_us | detail::towards_peer);
  }
  /// Ends the stream to the peer: it receives what was sent, then the end. A pending send ends with
  /// `operation_aborted`. Receiving goes on.
  void close_send() noexcept;
  /// Ends both directions in order, and all pending operations with `operation_aborted`. Further
  /// calls have no effect.
  void close() noexcept {
    if (auto* impl = std::exchange(impl_, nullptr)) impl->orphan();
  }

  /// Ends both directions at once, for a transfer that has failed. The peer receives what was sent,
  /// then `connection_reset`, as if this process had died. Pending operations end with
  /// `operation_aborted`. Further calls have no effect.
  void abort() noexcept {
    if (auto* impl = std::exchange(impl_, nullptr)) {
      impl->abort();
      impl->orphan();
    }
  }

  /// Sets how operations poll before they sleep (see `spin_policy`). The default is `adaptive`,
  /// unless the environment variable RINGBELL_SPIN says otherwise. Polling happens on the
  /// executor's threads, some microseconds at a time, between other handlers.
  void spin(spin_policy policy) {
    if (impl_) impl_->use_policy(policy);
  }
  /// Returns the identity of the peer, which the kernel recorded when the connection was made.
  sys::peer_identity peer() const noexcept {
    return impl_ ? impl_->parts().who : sys::peer_identity();
  }
  channel_statistics statistics() const noexcept {
    return impl_ ? detail::statistics_of(impl_->ring().counters()) : channel_statistics();
  }

private:
  friend struct detail::access;
  void close_receive() noexcept;
  basic_asio_channel(const Executor& executor, detail::asio_connection* impl) noexcept
      : executor_(executor), impl_(impl) {}
  detail::asio_connection* impl() const noexcept { return impl_; }
  detail::asio_connection* give() noexcept {
    cancel();
    return std::exchange(impl_, nullptr);
  }
  template <class Operation, class Signature, class Token, class... Arguments>
  auto initiate(Token&& token, Arguments&&... arguments) {
    return net::async_initiate<Token, Signature>(
        detail::initiate<Operation, detail::as_taken, Executor>(executor_, {}), token,
        std::forward<Arguments>(arguments)...);
  }

  template <class Operation, class Token, class Buffers, class... Limit>
  auto initiate_send(Token&& token, const Buffers& buffers, Limit... limit) {
    using initiation = detail::initiate_send<Operation, Executor>;
    if constexpr (std::is_convertible_v<const Buffers&, net::const_buffer>)
      return net::async_initiate<Token, void(net_error_code)>(initiation(executor_), token, this,
                                                              net::const_buffer(buffers), limit...);
    else
      return net::async_initiate<Token, void(net_error_code)>(initiation(executor_), token, this,
                                                              buffers, limit...);
  }

  Executor executor_;
  detail::asio_connection* impl_ = nullptr;
};

/// With an executor of any type.
using asio_channel = basic_asio_channel<>;

template <class Executor>
message basic_asio_channel<Executor>::try_recv(net_error_code& error) noexcept {
  ring::message_view view;
  errc e = errc::closed;
  if (impl_) {
    e = impl_->pending(detail::towards_us) ? errc::busy : impl_->ring().receive(view);
    impl_->ring_if_due();
    if (e == errc::would_block) impl_->attempted_in_vain();
  }
  error = detail::to_net(e);
  return e == errc{} ? detail::access::make<message>(*impl_, std::move(view)) : message();
}

template <class Executor>
template <class Buffers>
net_error_code basic_asio_channel<Executor>::try_send(const Buffers& buffers) {
  if (!impl_) return detail::to_net(errc::closed);
  if (impl_->pending(detail::towards_peer)) return detail::to_net(errc::busy);
  const errc e = impl_->ring().try_send(detail::gathered<Buffers>(buffers).pieces(),
                                        net::buffer_size(buffers));
  impl_->ring_if_due();
  if (e == errc::would_block) impl_->attempted_in_vain();
  return detail::to_net(e);
}

template <class Executor>
claim basic_asio_channel<Executor>::try_claim(std::size_t size, net_error_code& error) noexcept {
  std::byte* payload = nullptr;
  errc e = errc::closed;
  if (impl_) {
    e = impl_->pending(detail::towards_peer) ? errc::busy : impl_->ring().claim(size, payload);
    impl_->ring_if_due();
    if (e == errc::would_block) impl_->attempted_in_vain();
  }
  error = detail::to_net(e);
  return e == errc{} ? detail::access::make<claim>(*impl_, std::span(payload, size)) : claim();
}

template <class Executor>
void basic_asio_channel<Executor>::close_send() noexcept {
  if (!impl_) return;
  impl_->cancel(detail::towards_peer);
  impl_->ring().close_send();
  impl_->ring_if_due();
}

template <class Executor>
void basic_asio_channel<Executor>::close_receive() noexcept {
  if (!impl_) return;
  impl_->cancel(detail::towards_us);
  impl_->ring().close_receive();
  impl_->ring_if_due();
}

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

template <class Executor>
net::awaitable<std::optional<message>, Executor> basic_asio_channel<Executor>::recv() {
  detail::polling polled;
  const net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
  if (impl_ && !cancellation.slot().is_connected() && impl_->may_continue(detail::towards_us, 0)) {
    ring::message_view view;
    ring::endpoint& ring = impl_->ring();
    errc e = ring.receive(view);
    if (e == errc::would_block &&
        impl_->poll_to_receive(polled) == detail::asio_connection::found::something)
      e = ring.receive(view);
    impl_->ring_if_due();
    if (e == errc{})
      co_return std::optional<message>(detail::access::make<message>(*impl_, std::move(view)));
    if (e == errc::end_of_stream) co_return std::nullopt;
    if (e != errc::would_block) throw net_system_error(detail::to_net(e));
  }
  net_error_code error;
  message received = co_await initiate<detail::recv_operation, void(net_error_code, message)>(
      net::redirect_error(net::use_awaitable_t<Executor>(), error), this, polled);
  if (error == net::error::eof) co_return std::nullopt;
  if (error) throw net_system_error(error);
  co_return std::optional<message>(std::move(received));
}

template <class Executor>
net::awaitable<std::optional<message>, Executor> basic_asio_channel<Executor>::recv(
    time_limit limit) {
  const net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
  net_error_code error = net::error::would_block;
  message received;
  if (impl_ && !cancellation.slot().is_connected() && impl_->may_continue(detail::towards_us, 0))
    received = try_recv(error);
  if (error == net::error::would_block) {
    error = {};
    received =
        co_await async_recv(limit, net::redirect_error(net::use_awaitable_t<Executor>(), error));
  }
  if (error == net::error::eof) co_return std::nullopt;
  if (error) throw net_system_error(error);
  co_return std::optional<message>(std::move(received));
}

template <class Executor>
template <class Buffers>
net::awaitable<void, Executor> basic_asio_channel<Executor>::send(Buffers buffers) {
  const std::size_t size = net::buffer_size(buffers);
  if (impl_ && size <= impl_->ring().max_claim() &&
      impl_->may_continue(detail::towards_peer, size)) {
    const errc e = impl_->ring().try_send(detail::gathered<Buffers>(buffers).pieces(), size);
    impl_->ring_if_due();
    if (e == errc{}) co_return;
    if (e != errc::would_block) throw net_system_error(detail::to_net(e));
  }
  co_await async_send(buffers, net::use_awaitable_t<Executor>());
}

#endif

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
