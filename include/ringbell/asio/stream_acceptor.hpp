// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/listener.hpp>
#include <ringbell/asio/stream.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// A `stream_listener` as an Asio I/O object, in the shape of Asio's acceptors. A client that wants
/// messages is refused with `errc::refused_kind`.
///
/// Errors, cancellation, handlers, thread-safety, lifetime: as `basic_asio_listener`.
template <class Executor = net::any_io_executor>
class basic_asio_stream_acceptor {
public:
  /// The executor's type, and the same kind of object for another one, as Asio's I/O objects have.
  using executor_type = Executor;
  template <class Other>
  struct rebind_executor {
    using other = basic_asio_stream_acceptor<Other>;
  };

  /// Listens under `name`: a name, or a path when it contains a slash.
  /// Errors: throws `std::system_error` as `listener::bind` does.
  basic_asio_stream_acceptor(const Executor& executor, std::string_view name,
                             listener_options options = {})
      : listener_(detail::access::make<basic_asio_listener<Executor>>(
            executor, name, std::move(options), handshake::record_kind::stream)) {}
  template <class ExecutionContext>
    requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
  basic_asio_stream_acceptor(ExecutionContext& context, std::string_view name,
                             listener_options options = {})
      : basic_asio_stream_acceptor(Executor(context.get_executor()), name, std::move(options)) {}

  /// Return the executor, and whether the object is open.
  executor_type get_executor() const noexcept { return listener_.get_executor(); }
  bool is_open() const noexcept { return listener_.is_open(); }

  /// Waits for the next client.
  /// Completion signature: `void(error_code, basic_asio_stream<Executor>)`.
  /// Cancellation: of any type; no client is lost.
  template <class Token = net::default_completion_token_t<Executor>>
    requires(!detail::is_executor<Token>)
  auto async_accept(Token&& token = net::default_completion_token_t<Executor>()) {
    return accept_for(get_executor(), std::forward<Token>(token));
  }
  /// As above, with a stream on another executor, for instance on a strand of its own.
  template <class Other, class Token = net::default_completion_token_t<Executor>>
    requires detail::is_executor<Other>
  auto async_accept(const Other& executor,
                    Token&& token = net::default_completion_token_t<Executor>()) {
    return accept_for(executor, std::forward<Token>(token));
  }
  /// Accepts into a stream that is not open, as Asio's acceptors do. The stream keeps its executor.
  /// Completion signature: `void(error_code)`.
  /// Errors: as above; also `asio::error::already_open` when the stream is open. The next accept
  /// then gets the client.
  /// Lifetime: the stream must stay valid, and must not be moved, until the operation has ended.
  template <class Other, class Token = net::default_completion_token_t<Executor>>
  auto async_accept(basic_asio_stream<Other>& peer,
                    Token&& token = net::default_completion_token_t<Executor>()) {
    using operation =
        detail::accept_into_operation<basic_asio_stream<Other>, detail::as_stream<Other>>;
    return net::async_initiate<Token, void(net_error_code)>(
        detail::initiate<operation, detail::as_taken, Executor>(get_executor(), {}), token,
        &listener_, &peer);
  }

  /// Ends a pending accept with `operation_aborted`.
  void cancel() noexcept { listener_.cancel(); }
  /// Stops listening and gives up the name. Further calls have no effect.
  void close() noexcept { listener_.close(); }

  /// Returns the path of the socket, for messages; empty when the acceptor is not open.
  const std::string& path() const noexcept { return listener_.path(); }
  /// Returns how many clients are connected, including those that have not been accepted yet.
  std::size_t clients() const noexcept { return listener_.clients(); }

private:
  template <class Other, class Token>
  auto accept_for(const Other& executor, Token&& token) {
    using result = detail::as_stream<Other>;
    return net::async_initiate<Token, void(net_error_code, basic_asio_stream<Other>)>(
        detail::initiate<detail::accept_operation, result, Executor>(get_executor(),
                                                                     result(executor)),
        token, &listener_, detail::context_if_any(executor));
  }

  basic_asio_listener<Executor> listener_;
};

/// With an executor of any type.
using asio_stream_acceptor = basic_asio_stream_acceptor<>;

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
