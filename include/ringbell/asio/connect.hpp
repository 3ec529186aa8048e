// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/channel.hpp>
#include <ringbell/asio/detail/driven_loop.hpp>
#include <ringbell/connect.hpp>

#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace ringbell {

namespace detail {

/// One attempt to connect, with its retries and its time limit.
class asio_connector final : public driven_loop {
public:
  asio_connector(net::any_io_executor executor, std::string name, const connect_options& options) : driven_loop(std::move(executor)) {
    lp().spawn(connect(std::move(name), options));
  }

  /// Goes on. True when it has ended: with `parts`, or with an `error`.
  bool ended() {
    run_ready();
    return parts.has_value() || error;
  }
  /// It has one operation only. Whoever still holds it, as a cancellation slot may do for longer than the context lives, does not use it.
  void end(ticket t) noexcept {
    waitable::end(t);
    stop();
  }
  std::optional<connection_parts> parts;
  std::error_code error;

private:
  task<void> connect(std::string name, connect_options options) {
    try {
      task<connection_parts> connecting = connect_parts(lp(), std::move(name), options);
      parts.emplace(co_await std::move(connecting));
    } catch (const std::system_error& e) {
      error = e.code();
    } catch (const std::bad_alloc&) {
      error = std::make_error_code(std::errc::not_enough_memory);
    }
  }
};

template <class Executor>
class connect_step final : public step<asio_connector> {
public:
  using value_type = basic_asio_channel<Executor>;
  connect_step(const Executor& executor, std::string name, const connect_options& options)
      : step(new asio_connector(executor, std::move(name), options), towards_us), channel_(executor) {}

  progress advance(bool) {
    asio_connector& connector = *object();
    if (!connector.ended()) return progress::sleep;
    if (connector.error) return finish(to_net(connector.error));
    auto* connection = new asio_connection(channel_.get_executor(), std::move(*connector.parts), client_slot());
    channel_ = value_type(channel_.get_executor(), connection);
    net_error_code error;
    connection->start(error);
    if (error) channel_.close();
    return finish(error);
  }
  value_type take() noexcept { return std::move(channel_); }

private:
  value_type channel_;
};

template <class Executor>
class initiate_connect : public initiate<connect_step<Executor>, Executor> {
public:
  using initiate<connect_step<Executor>, Executor>::initiate;
  template <class Handler>
  void operator()(Handler&& handler, std::string name, const connect_options& options) const {
    this->begin(std::forward<Handler>(handler), connect_step<Executor>(this->get_executor(), std::move(name), options));
  }
};

}  // namespace detail

/// Connects to the service `name` (a name, or a path when it contains a slash): `void(error_code, basic_asio_channel<Executor>)`. While nobody listens
/// there it tries again, until the options' timeout. Errors: as `connect`, with `operation_aborted` when cancelled. Throws, from the
/// initiating function, when there are not even the descriptors to begin with.
/// Cancellation: by the handler's slot, of any type; nothing is left behind. Handlers, thread-safety: as `basic_asio_channel`.
template <class Executor, class Token = net::default_completion_token_t<Executor>>
  requires detail::is_executor<Executor>
auto async_connect(const Executor& executor, std::string name, connect_options options,
                   Token&& token = net::default_completion_token_t<Executor>()) {
  return net::async_initiate<Token, void(net_error_code, basic_asio_channel<Executor>)>(detail::initiate_connect<Executor>(executor), token,
                                                                                        std::move(name), options);
}
template <class Executor, class Token = net::default_completion_token_t<Executor>>
  requires(detail::is_executor<Executor> && !std::is_convertible_v<Token, connect_options>)
auto async_connect(const Executor& executor, std::string name, Token&& token = net::default_completion_token_t<Executor>()) {
  return async_connect(executor, std::move(name), connect_options(), std::forward<Token>(token));
}
template <class ExecutionContext, class... Rest>
  requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
auto async_connect(ExecutionContext& context, std::string name, Rest&&... rest) {
  return async_connect(net::any_io_executor(context.get_executor()), std::move(name), std::forward<Rest>(rest)...);
}

}  // namespace ringbell
