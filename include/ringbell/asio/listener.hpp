// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/channel.hpp>
#include <ringbell/asio/detail/accept_operation.hpp>
#include <ringbell/channel/listener_options.hpp>
#include <ringbell/detail/access.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// A `listener` as an Asio I/O object: accepts connections to a service. Handshakes proceed while
/// an accept is pending. They run concurrently, each with its own time limit, and no handshake
/// delays another.
///
/// Errors, cancellation, handlers, thread-safety: as `basic_asio_channel` says. The authorizer is
/// called on the strand of the accept.
/// Lifetime: begin accepts only while the execution context lives; when the context ends, the
/// listener is closed. Destruction removes the socket file, drops unfinished handshakes and
/// channels that were not accepted, and ends a pending accept with `operation_aborted`. Accepted
/// channels live on.
template <class Executor = net::any_io_executor>
class basic_asio_listener {
public:
  /// The executor's type, and the same kind of object for another one, as Asio's I/O objects have.
  using executor_type = Executor;
  template <class Other>
  struct rebind_executor {
    using other = basic_asio_listener<Other>;
  };

  /// Listens under `name`: a name, or a path when it contains a slash.
  /// Errors: throws `std::system_error` as `listener::bind` does.
  basic_asio_listener(const Executor& executor, std::string_view name,
                      listener_options options = {})
      : executor_(executor),
        impl_(*new detail::asio_acceptor(detail::context_of(executor), name, std::move(options))) {}
  template <class ExecutionContext>
    requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
  basic_asio_listener(ExecutionContext& context, std::string_view name,
                      listener_options options = {})
      : basic_asio_listener(Executor(context.get_executor()), name, std::move(options)) {}

  /// Moves the listener. A pending accept on `other` ends with `operation_aborted`, and can be
  /// started again here.
  basic_asio_listener(basic_asio_listener&& other) noexcept
      : executor_(other.executor_), impl_(detail::access::take_impl_of(other)) {}
  template <class Other>
    requires std::is_convertible_v<Other, Executor>
  basic_asio_listener(basic_asio_listener<Other>&& other)
      : executor_(other.get_executor()), impl_(detail::access::take_impl_of(other)) {}
  basic_asio_listener& operator=(basic_asio_listener&& other) noexcept {
    if (this != &other) {
      close();
      executor_ = other.executor_;
      impl_ = detail::access::take_impl_of(other);
    }
    return *this;
  }
  /// Closes the listener, as `close` does.
  ~basic_asio_listener() { close(); }

  /// Return the executor, and whether the object is open.
  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return impl_ && impl_->is_open(); }

  /// Waits for the next client.
  /// Completion signature: `void(error_code, basic_asio_channel<Executor>)`.
  /// Cancellation: of any type; no client is lost.
  template <class Token = net::default_completion_token_t<Executor>>
    requires(!detail::is_executor<Token>)
  auto async_accept(Token&& token = net::default_completion_token_t<Executor>()) {
    return accept_for(executor_, std::forward<Token>(token));
  }
  /// As above, with a channel on another executor, for instance on a strand of its own.
  template <class Other, class Token = net::default_completion_token_t<Executor>>
    requires detail::is_executor<Other>
  auto async_accept(const Other& executor,
                    Token&& token = net::default_completion_token_t<Executor>()) {
    return accept_for(executor, std::forward<Token>(token));
  }

  /// Ends a pending accept with `operation_aborted`.
  void cancel() noexcept {
    if (impl_) impl_->cancel(detail::towards_us);
  }
  /// Stops listening and gives up the name. Further calls have no effect.
  void close() noexcept {
    if (impl_) impl_->close();
    impl_ = {};
  }

  /// Returns the path of the socket, for messages; empty when the listener is not open.
  const std::string& path() const noexcept { return detail::path_of(impl_.get()); }
  /// Returns how many clients are connected, including those that have not been accepted yet.
  std::size_t clients() const noexcept { return impl_ ? impl_->clients() : 0; }

private:
  friend struct detail::access;
  basic_asio_listener(const Executor& executor, std::string_view name, listener_options options,
                      handshake::record_kind kind)
      : executor_(executor),
        impl_(*new detail::asio_acceptor(detail::context_of(executor), name, std::move(options),
                                         kind)) {}
  detail::asio_acceptor* impl() const noexcept { return impl_.get(); }
  detail::intrusive_ptr<detail::asio_acceptor> give() noexcept {
    cancel();
    return std::move(impl_);
  }
  template <class Other, class Token>
  auto accept_for(const Other& executor, Token&& token) {
    using result = detail::as_channel<Other>;
    return net::async_initiate<Token, void(net_error_code, basic_asio_channel<Other>)>(
        detail::initiate<detail::accept_operation, result, Executor>(executor_, result(executor)),
        token, this, detail::context_if_any(executor));
  }

  Executor executor_;
  detail::intrusive_ptr<detail::asio_acceptor> impl_;
};

/// With an executor of any type.
using asio_listener = basic_asio_listener<>;

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
