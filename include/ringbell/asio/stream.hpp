// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/channel.hpp>
#include <ringbell/asio/detail/connect_operation.hpp>
#include <ringbell/asio/detail/stream_operations.hpp>

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#ifdef RINGBELL_BOOST_ASIO
namespace boost::beast {
enum class role_type;
}
#endif

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// A `stream` as an Asio I/O object: an AsyncReadStream, AsyncWriteStream, SyncReadStream and
/// SyncWriteStream. What is written for a socket works with it: `async_read`, `async_read_until`,
/// `async_write`, `ssl::stream`, Beast's HTTP and WebSocket.
///
/// Errors, as `error_code`: those of `basic_asio_channel`. `asio::error::eof` when the peer has
/// ended its writing and everything was read; `connection_reset` when the peer has died, after
/// everything that it had written was read.
///
/// Cancellation: as `basic_asio_channel`. A cancelled read has taken nothing, and a cancelled write
/// has written nothing.
///
/// Handlers, thread-safety, lifetime: as `basic_asio_channel`. One read and one write may be
/// pending at a time.
template <class Executor = net::any_io_executor>
class basic_asio_stream {
public:
  /// The executor's type, the channel below, and what Asio's I/O objects have for layers and for
  /// other executors.
  using executor_type = Executor;
  using channel_type = basic_asio_channel<Executor>;
  using lowest_layer_type = basic_asio_stream;
  template <class Other>
  struct rebind_executor {
    using other = basic_asio_stream<Other>;
  };

  /// Makes a stream that is not open and has no executor; assign another one to it.
  basic_asio_stream() noexcept
    requires std::is_nothrow_default_constructible_v<Executor>
  = default;
  /// Makes a stream that is not open.
  explicit basic_asio_stream(const Executor& executor) noexcept : channel_(executor) {}
  template <class ExecutionContext>
    requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
  explicit basic_asio_stream(ExecutionContext& context) : channel_(context) {}
  /// Makes a stream of a channel. The peer has to do the same; a peer that sends a message without
  /// bytes breaks the stream.
  explicit basic_asio_stream(channel_type through) noexcept : channel_(std::move(through)) {}

  /// Moves the stream. Pending operations on `other` end with `operation_aborted`, and can be
  /// started again here.
  basic_asio_stream(basic_asio_stream&& other) noexcept = default;
  template <class Other>
    requires std::is_convertible_v<Other, Executor>
  basic_asio_stream(basic_asio_stream<Other>&& other)
      : channel_(std::move(other.channel_)), input_(std::move(other.input_)) {}
  basic_asio_stream& operator=(basic_asio_stream&& other) noexcept = default;
  template <class Other>
    requires std::is_convertible_v<Other, Executor>
  basic_asio_stream& operator=(basic_asio_stream<Other>&& other) {
    *this = basic_asio_stream(std::move(other));
    return *this;
  }

  /// Return the executor, and whether the object is open.
  executor_type get_executor() const noexcept { return channel_.get_executor(); }
  bool is_open() const noexcept { return channel_.is_open(); }
  /// Return this object, which has no layer below.
  lowest_layer_type& lowest_layer() noexcept { return *this; }
  const lowest_layer_type& lowest_layer() const noexcept { return *this; }

  /// Waits for bytes, and copies as many as there are and fit the buffers. Without room in the
  /// buffers it ends at once.
  /// Completion signature: `void(error_code, size_t)`.
  /// Lifetime: the memory must stay valid until the operation has ended.
  template <class Buffers, class Token = net::default_completion_token_t<Executor>>
  auto async_read_some(const Buffers& buffers,
                       Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::read_some_operation, void(net_error_code, std::size_t)>(
        std::forward<Token>(token), to_read(buffers));
  }
  /// Writes as many of the bytes as fit into the ring, and waits while the ring is full.
  /// Completion signature: `void(error_code, size_t)`.
  /// Lifetime: the memory must stay valid until the operation has ended.
  template <class Buffers, class Token = net::default_completion_token_t<Executor>>
  auto async_write_some(const Buffers& buffers,
                        Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::write_some_operation, void(net_error_code, std::size_t)>(
        std::forward<Token>(token), to_write(buffers));
  }
  /// Waits for bytes, and gives them in place, without a copy. They lie in memory that the peer
  /// writes: a hostile peer may change them, so copy before you check what must not change.
  /// Completion signature: `void(error_code, const_buffer)`.
  /// Lifetime: the bytes stay valid until the next operation that reads, `consume`, or the stream's
  /// destruction.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_read_view(Token&& token = net::default_completion_token_t<Executor>()) {
    return initiate<detail::read_view_operation, void(net_error_code, net::const_buffer)>(
        std::forward<Token>(token));
  }
  /// Marks the first `n` bytes of the view as read. Not while a read is pending.
  void consume(std::size_t n) noexcept { input_.consume(n); }

  /// Read and write as above, and block the calling thread meanwhile. They need the execution
  /// context as well.
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, net_error_code& error) {
    return detail::read_blocking(impl(), to_read(buffers), error);
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    net_error_code error;
    const std::size_t n = read_some(buffers, error);
    if (error) throw net_system_error(error, "read_some");
    return n;
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers, net_error_code& error) {
    return detail::write_blocking(impl(), to_write(buffers), error);
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers) {
    net_error_code error;
    const std::size_t n = write_some(buffers, error);
    if (error) throw net_system_error(error, "write_some");
    return n;
  }

  /// Ends all pending operations with `operation_aborted`.
  void cancel() noexcept { channel_.cancel(); }
  void cancel(net_error_code& error) noexcept {
    cancel();
    error = {};
  }
  /// With `shutdown_send` or `shutdown_both`, ends the writing: the peer reads what was written,
  /// then the end. With `shutdown_receive` or `shutdown_both`, ends the reading: the peer's writes
  /// fail from the time when it next looks for space in the ring.
  /// Errors: `bad_descriptor` when the stream is not open.
  void shutdown(net::socket_base::shutdown_type what, net_error_code& error) noexcept {
    error = is_open() ? net_error_code() : detail::to_net(errc::closed);
    if (what != net::socket_base::shutdown_receive) channel_.close_send();
    if (what != net::socket_base::shutdown_send) detail::access::close_receive(channel_);
  }
  void shutdown(net::socket_base::shutdown_type what) {
    net_error_code error;
    shutdown(what, error);
    if (error) throw net_system_error(error, "shutdown");
  }
  /// Ends both directions in order, and all pending operations with `operation_aborted`. Further
  /// calls have no effect.
  void close() noexcept { channel_.close(); }
  void close(net_error_code& error) noexcept {
    close();
    error = {};
  }

  /// Ends both directions at once, as a socket's reset does. The peer reads what was written, then
  /// gets `connection_reset`. Pending operations end with `operation_aborted`. Further calls have
  /// no effect.
  void abort() noexcept {
    input_.consume(input_.bytes().size());
    channel_.abort();
  }

  /// As `basic_asio_channel::spin`.
  void spin(spin_policy policy) { channel_.spin(policy); }
  /// Returns the identity of the peer, which the kernel recorded when the connection was made.
  sys::peer_identity peer() const noexcept { return channel_.peer(); }
  channel_statistics statistics() const noexcept { return channel_.statistics(); }

#ifdef RINGBELL_BOOST_ASIO
  // Beast calls these to close a stream of a type that it does not know. Argument-dependent lookup
  // finds them.
  friend void beast_close_socket(basic_asio_stream& s) { s.close(); }
  friend void teardown(boost::beast::role_type, basic_asio_stream& s, net_error_code& error) {
    s.close(error);
  }
  template <class Handler>
  friend void async_teardown(boost::beast::role_type, basic_asio_stream& s, Handler&& handler) {
    s.close();
    const auto executor = net::get_associated_executor(handler, s.get_executor());
    net::post(executor, [h = std::decay_t<Handler>(std::forward<Handler>(handler))]() mutable {
      std::move(h)(net_error_code());
    });
  }
#endif

private:
  template <class>
  friend class basic_asio_stream;
  friend struct detail::access;
  detail::stream_parts impl() noexcept { return {detail::access::impl_of(channel_), &input_}; }
  template <class Buffers>
  static detail::read_buffers to_read(const Buffers& buffers) noexcept {
    return detail::read_buffers::of<net::mutable_buffer>(buffers);
  }
  template <class Buffers>
  static detail::write_buffers to_write(const Buffers& buffers) noexcept {
    return detail::write_buffers::of<net::const_buffer>(buffers);
  }
  template <class Operation, class Signature, class Token, class... Arguments>
  auto initiate(Token&& token, const Arguments&... arguments) {
    return net::async_initiate<Token, Signature>(
        detail::initiate<Operation, detail::as_taken, Executor>(get_executor(), {}), token, this,
        arguments...);
  }

  channel_type channel_;
  detail::stream_input input_;
};

/// With an executor of any type.
using asio_stream = basic_asio_stream<>;

}  // namespace ringbell::inline RINGBELL_ASIO_ABI

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// Gives the handler a stream for the connection that the operation has made.
template <class Executor>
class as_stream {
public:
  explicit as_stream(const Executor& executor) noexcept : executor_(executor) {}
  template <class Operation>
  basic_asio_stream<Executor> of(Operation& o) const {
    return basic_asio_stream<Executor>(
        access::make<basic_asio_channel<Executor>>(executor_, o.take()));
  }
  template <class Operation>
  basic_asio_stream<Executor> none() const {
    return basic_asio_stream<Executor>(executor_);
  }

private:
  Executor executor_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// Connects to the service `name`, which has to have streams, as `async_connect` does.
/// Completion signature: `void(error_code, basic_asio_stream<Executor>)`.
/// Errors: those of `async_connect`. `errc::refused_kind` when the service has messages.
template <class Executor, class Token = net::default_completion_token_t<Executor>>
  requires detail::is_executor<Executor>
auto async_connect_stream(const Executor& executor, std::string name, connect_options options,
                          Token&& token = net::default_completion_token_t<Executor>()) {
  return net::async_initiate<Token, void(net_error_code, basic_asio_stream<Executor>)>(
      detail::initiate_connect<Executor, detail::as_stream<Executor>>(
          executor, handshake::record_kind::stream),
      token, std::move(name), options);
}
template <class Executor, class Token = net::default_completion_token_t<Executor>>
  requires(detail::is_executor<Executor> && !std::is_convertible_v<Token, connect_options>)
auto async_connect_stream(const Executor& executor, std::string name,
                          Token&& token = net::default_completion_token_t<Executor>()) {
  return async_connect_stream(executor, std::move(name), connect_options(),
                              std::forward<Token>(token));
}
template <class ExecutionContext, class... Rest>
  requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
auto async_connect_stream(ExecutionContext& context, std::string name, Rest&&... rest) {
  return async_connect_stream(net::any_io_executor(context.get_executor()), std::move(name),
                              std::forward<Rest>(rest)...);
}
template <class Other, class... Rest>
  requires detail::gives_executor<Other>
auto async_connect_stream(Other& executor, std::string name, Rest&&... rest) {
  return async_connect_stream(static_cast<net::any_io_executor>(executor), std::move(name),
                              std::forward<Rest>(rest)...);
}

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
