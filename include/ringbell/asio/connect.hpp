// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/channel.hpp>
#include <ringbell/asio/detail/as_channel.hpp>
#include <ringbell/asio/detail/connect_operation.hpp>

#include <string>
#include <type_traits>
#include <utility>

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// Connects to the service `name`: a name, or a path when it contains a slash. While no server
/// listens there, it tries again until the options' timeout.
/// Completion signature: `void(error_code, basic_asio_channel<Executor>)`.
///
/// Errors: those of `connect`, with `operation_aborted` when cancelled, and `timed_out`. Also lack
/// of descriptors or memory at the beginning.
/// Thread-safety, handlers: as `basic_asio_channel` says.
/// Cancellation: by the handler's cancellation slot, of any type; nothing is left behind.
template <class Executor, class Token = net::default_completion_token_t<Executor>>
  requires detail::is_executor<Executor>
auto async_connect(const Executor& executor, std::string name, connect_options options,
                   Token&& token = net::default_completion_token_t<Executor>()) {
  return net::async_initiate<Token, void(net_error_code, basic_asio_channel<Executor>)>(
      detail::initiate_connect<Executor, detail::as_channel<Executor>>(
          executor, handshake::record_kind::messages),
      token, std::move(name), options);
}
template <class Executor, class Token = net::default_completion_token_t<Executor>>
  requires(detail::is_executor<Executor> && !std::is_convertible_v<Token, connect_options>)
auto async_connect(const Executor& executor, std::string name,
                   Token&& token = net::default_completion_token_t<Executor>()) {
  return async_connect(executor, std::move(name), connect_options(), std::forward<Token>(token));
}
template <class ExecutionContext, class... Rest>
  requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
auto async_connect(ExecutionContext& context, std::string name, Rest&&... rest) {
  return async_connect(net::any_io_executor(context.get_executor()), std::move(name),
                       std::forward<Rest>(rest)...);
}
template <class Other, class... Rest>
  requires detail::gives_executor<Other>
auto async_connect(Other& executor, std::string name, Rest&&... rest) {
  return async_connect(static_cast<net::any_io_executor>(executor), std::move(name),
                       std::forward<Rest>(rest)...);
}

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
