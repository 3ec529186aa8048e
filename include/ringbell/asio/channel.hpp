// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/channel_operations.hpp>
#include <ringbell/asio/detail/gathered.hpp>
#include <ringbell/asio/detail/handled_operation.hpp>
#include <ringbell/asio/detail/initiate_send.hpp>
#include <ringbell/asio/detail/limited.hpp>
#include <ringbell/channel/statistics.hpp>
#include <ringbell/time_limit.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// What does not depend on a channel's executor.
class asio_channel_base {
public:
  /// What `async_wait` waits for: one, or either with `wait_recv | wait_send`.
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

/// The bytes of a message, or of claimed space, as an Asio buffer: found by their type, as in
/// `ch.async_send(buffer(m), token)`.
inline net::const_buffer buffer(const message& m) noexcept { return {m.data(), m.size()}; }
inline net::mutable_buffer buffer(const claim& c) noexcept {
  return {c.bytes().data(), c.bytes().size()};
}

/// A channel (see `channel`) as an Asio I/O object: its waits are asynchronous operations on an
/// executor, with any completion token.
///
/// Errors, as `error_code`: `asio::error::eof` when the peer has closed in order and all was
/// received, `connection_reset` when it died (after everything that it had published was received),
/// `operation_aborted` when cancelled, or when the channel was closed, moved or destroyed
/// meanwhile, `bad_descriptor` on a channel that is not open, `timed_out` after a limit,
/// `message_size`, `no_memory`; and of ringbell's own `errc::busy` for a second operation of the
/// same direction (receiving: async_recv, async_recv_into, async_wait; sending: async_send,
/// async_claim, async_wait), `errc::bad_peer`.
///
/// Cancellation: each operation by its handler's cancellation slot, of any type (terminal, partial,
/// total); all of them by `cancel`. A cancelled receive has consumed nothing; a cancelled send has
/// published nothing, and the peer sees nothing of it.
///
/// Handlers are called by the executor, never from within the initiating function, except where
/// there is no executor (a channel made by its default constructor), or no memory for a turn.
/// Nothing throws when it is begun. Operations run in the handler's associated executor, and take
/// their memory from its associated allocator.
///
/// Thread-safety: as a socket's: distinct objects in distinct threads, one object in one strand
/// (explicit, or implicit as in a chain of operations); messages and claims belong to the same
/// strand. Lifetime: operations are begun while the execution context lives; the other members,
/// closing and destruction may come after it. Messages and claims may outlive both.
template <class Executor = net::any_io_executor>
class basic_asio_channel : public detail::asio_channel_base {
public:
  using executor_type = Executor;
  template <class Other>
  struct rebind_executor {
    using other = basic_asio_channel<Other>;
  };

  /// A channel that is not open, and on no executor: to be assigned to.
  basic_asio_channel() noexcept
    requires std::is_nothrow_default_constructible_v<Executor>
  = default;
  /// A channel that is not open.
  explicit basic_asio_channel(const Executor& executor) noexcept : executor_(executor) {}
  template <class ExecutionContext>
    requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
  explicit basic_asio_channel(ExecutionContext& context) : executor_(context.get_executor()) {}
  /// For `async_connect` and `async_accept`: takes a started connection.
  basic_asio_channel(const Executor& executor, detail::asio_connection* core) noexcept
      : executor_(executor), core_(core) {}

  /// What is pending on `other` ends with `operation_aborted`, and can be started again here.
  basic_asio_channel(basic_asio_channel&& other) noexcept
      : executor_(other.executor_), core_(other.give()) {}
  template <class Other>
    requires std::is_convertible_v<Other, Executor>
  basic_asio_channel(basic_asio_channel<Other>&& other)
      : executor_(other.get_executor()), core_(other.give()) {}
  basic_asio_channel& operator=(basic_asio_channel&& other) noexcept {
    if (this != &other) {
      close();
      executor_ = other.executor_;
      core_ = other.give();
    }
    return *this;
  }
  template <class Other>
    requires std::is_convertible_v<Other, Executor>
  basic_asio_channel& operator=(basic_asio_channel<Other>&& other) {
    *this = basic_asio_channel(std::move(other));
    return *this;
  }
  /// As `close`.
  ~basic_asio_channel() { close(); }

  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return core_ != nullptr; }

  /// Waits for the next message: `void(error_code, message)`.
  template <class Token = net::default_completion_token_t<Executor>>
    requires(!std::is_convertible_v<Token, time_limit>)
  auto async_recv(Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::recv_operation, void(net_error_code, message)>(
        std::forward<Token>(token), this);
  }
  /// The same for at most `limit`: then `timed_out`, and what comes later is there for the next
  /// receive. The peer's end and death are heard of as without a limit. Whatever is there already
  /// is received, with a limit of zero or less as well.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_recv(time_limit limit, Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::limited<detail::recv_operation>, void(net_error_code, message)>(
        std::forward<Token>(token), this, limit);
  }
  /// Waits for the next message and copies it to `buffer`: `void(error_code, size_t)`, its length.
  /// For bytes that a peer must not be able to change while they are looked at. `message_size` when
  /// it does not fit; it is then still there.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_recv_into(net::mutable_buffer buffer,
                       Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::recv_into_operation, void(net_error_code, std::size_t)>(
        std::forward<Token>(token), this,
        std::span(static_cast<std::byte*>(buffer.data()), buffer.size()));
  }
  /// Sends the buffers as one message; waits only while the ring is full: `void(error_code)`. The
  /// memory must stay until then. Any length up to `max_message()`: one longer than `max_claim()`
  /// goes in fragments, which the peer joins.
  template <class Buffers, class Token = net::default_completion_token_t<Executor>>
    requires(!std::is_convertible_v<Token, time_limit>)
  auto async_send(const Buffers& buffers,
                  Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate_send<detail::send_operation>(std::forward<Token>(token), buffers);
  }
  /// The same for at most `limit`, for a peer that may not read: then `timed_out`, and nothing was
  /// sent.
  template <class Buffers, class Token = net::default_completion_token_t<Executor>>
  auto async_send(const Buffers& buffers, time_limit limit,
                  Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate_send<detail::limited<detail::send_operation>>(std::forward<Token>(token),
                                                                  buffers, limit);
  }
  /// Waits for space in the ring for one message of `size` bytes (at most `max_claim()`), to be
  /// written in place: `void(error_code, claim)`.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_claim(std::size_t size, Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::claim_operation, void(net_error_code, claim)>(
        std::forward<Token>(token), this, size);
  }
  /// Waits until there is something to receive, or space to send, or an error to be had by trying:
  /// `void(error_code)`.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_wait(wait_type what, Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::wait_operation, void(net_error_code)>(
        std::forward<Token>(token), this, static_cast<detail::directions>(what));
  }

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT
  /// As `async_recv` in a coroutine, and faster: it does not suspend while there is something to
  /// receive, or is about to be. Gives an empty optional when the peer has closed in order; throws
  /// the other errors. Every now and then it lets the executor's other work go first. Where
  /// somebody can cancel the coroutine (as in `a || b`) it is an `async_recv`, so that no message
  /// is lost.
  net::awaitable<std::optional<message>, Executor> recv();
  /// The same for at most `limit`: throws `timed_out` when nothing has come by then.
  net::awaitable<std::optional<message>, Executor> recv(time_limit limit);
  /// As `async_send` in a coroutine: does not suspend while there is space. Throws.
  template <class Buffers>
  net::awaitable<void, Executor> send(Buffers buffers);
#endif

  /// The next message if there is one now; else an empty one, and `error` says why: `would_block`,
  /// or as async_recv.
  message try_recv(net_error_code& error) noexcept;
  /// Sends now or not at all: `would_block` when the ring is full, `message_size` beyond
  /// `max_claim()`, else as `async_send`.
  template <class Buffers>
  net_error_code try_send(const Buffers& buffers);
  /// Space now or not at all; errors as those of `try_send`.
  claim try_claim(std::size_t size, net_error_code& error) noexcept;

  /// The longest message that can be claimed, or sent by `try_send`, in bytes.
  std::size_t max_claim() const noexcept { return core_ ? core_->ring().max_claim() : 0; }
  /// The longest message that the peer takes, in bytes.
  std::size_t max_message() const noexcept { return core_ ? core_->ring().max_message() : 0; }

  /// Ends all pending operations with `operation_aborted`.
  void cancel() noexcept {
    if (core_) core_->cancel(detail::towards_us | detail::towards_peer);
  }
  /// Ends the stream to the peer, which receives what was sent, then the end. A pending send ends
  /// with `operation_aborted`. Receiving goes on.
  void close_send() noexcept;
  /// Ends both directions, in order, and all pending operations with `operation_aborted`.
  /// Idempotent.
  void close() noexcept {
    if (auto* core = std::exchange(core_, nullptr)) core->orphan();
  }

  /// How operations poll before they sleep (see `spin_policy`); `adaptive` unless the environment
  /// variable RINGBELL_SPIN says otherwise. Polling happens on the executor's threads, some
  /// microseconds at a time between other handlers.
  void spin(spin_policy policy) {
    if (core_) core_->use_policy(policy);
  }
  /// Who is at the other end, by the kernel's word, as of connecting.
  sys::peer_identity peer() const noexcept {
    return core_ ? core_->parts().who : sys::peer_identity();
  }
  channel_statistics statistics() const noexcept {
    return core_ ? detail::statistics_of(core_->ring().counters()) : channel_statistics();
  }

  /// For the library's own use.
  detail::asio_connection* core() const noexcept { return core_; }
  detail::asio_connection* give() noexcept {
    cancel();
    return std::exchange(core_, nullptr);
  }

private:
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
  detail::asio_connection* core_ = nullptr;
};

using asio_channel = basic_asio_channel<>;

template <class Executor>
message basic_asio_channel<Executor>::try_recv(net_error_code& error) noexcept {
  ring::message_view view;
  errc e = errc::closed;
  if (core_) {
    e = core_->pending(detail::towards_us) ? errc::busy : core_->ring().receive(view);
    core_->ring_if_due();
    if (e == errc::would_block) core_->attempted_in_vain();
  }
  error = detail::to_net(e);
  return e == errc{} ? message(*core_, std::move(view)) : message();
}

template <class Executor>
template <class Buffers>
net_error_code basic_asio_channel<Executor>::try_send(const Buffers& buffers) {
  if (!core_) return detail::to_net(errc::closed);
  if (core_->pending(detail::towards_peer)) return detail::to_net(errc::busy);
  const errc e = core_->ring().try_send(detail::gathered<Buffers>(buffers).pieces(),
                                        net::buffer_size(buffers));
  core_->ring_if_due();
  if (e == errc::would_block) core_->attempted_in_vain();
  return detail::to_net(e);
}

template <class Executor>
claim basic_asio_channel<Executor>::try_claim(std::size_t size, net_error_code& error) noexcept {
  std::byte* payload = nullptr;
  errc e = errc::closed;
  if (core_) {
    e = core_->pending(detail::towards_peer) ? errc::busy : core_->ring().claim(size, payload);
    core_->ring_if_due();
    if (e == errc::would_block) core_->attempted_in_vain();
  }
  error = detail::to_net(e);
  return e == errc{} ? claim(*core_, {payload, size}) : claim();
}

template <class Executor>
void basic_asio_channel<Executor>::close_send() noexcept {
  if (!core_) return;
  core_->cancel(detail::towards_peer);
  core_->ring().close_send();
  core_->ring_if_due();
}

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

template <class Executor>
net::awaitable<std::optional<message>, Executor> basic_asio_channel<Executor>::recv() {
  detail::polling polled;
  const net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
  if (core_ && !cancellation.slot().is_connected() && core_->may_continue(detail::towards_us, 0)) {
    ring::message_view view;
    ring::endpoint& ring = core_->ring();
    errc e = ring.receive(view);
    if (e == errc::would_block &&
        core_->poll_to_receive(polled) == detail::asio_connection::found::something)
      e = ring.receive(view);
    core_->ring_if_due();
    if (e == errc{}) co_return std::optional<message>(std::in_place, *core_, std::move(view));
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
  if (core_ && !cancellation.slot().is_connected() && core_->may_continue(detail::towards_us, 0))
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
  if (core_ && size <= core_->ring().max_claim() &&
      core_->may_continue(detail::towards_peer, size)) {
    const errc e = core_->ring().try_send(detail::gathered<Buffers>(buffers).pieces(), size);
    core_->ring_if_due();
    if (e == errc{}) co_return;
    if (e != errc::would_block) throw net_system_error(detail::to_net(e));
  }
  co_await async_send(buffers, net::use_awaitable_t<Executor>());
}

#endif

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
