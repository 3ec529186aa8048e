// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/asio_connection.hpp>
#include <ringbell/asio/detail/handled_operation.hpp>
#include <ringbell/channel/connect_options.hpp>
#include <ringbell/channel/detail/record_kind.hpp>

#include <string>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

class asio_connector;

class connect_operation : public operation {
public:
  using value_type = asio_connection*;
  /// Null when there was an error.
  asio_connection* take() noexcept { return std::exchange(connection_, nullptr); }

protected:
  /// `context` is null when the executor has none.
  connect_operation(net::execution_context* context, std::string name,
                    const connect_options& options, handshake::record_kind kind);
  ~connect_operation() override;
  progress advance(bool rung) override;

private:
  connect_operation(net::execution_context* context, std::string name,
                    const connect_options& options, handshake::record_kind kind,
                    net_error_code error);
  connect_operation(net::execution_context* context, asio_connector* connector);

  net::execution_context* context_;
  asio_connector* connector_;
  asio_connection* connection_ = nullptr;
};

/// `Result` makes what the handler gets of the connection.
template <class Executor, class Result>
class initiate_connect {
public:
  using executor_type = Executor;
  initiate_connect(const Executor& executor, handshake::record_kind kind) noexcept
      : executor_(executor), kind_(kind) {}
  executor_type get_executor() const noexcept { return executor_; }
  template <class Handler>
  void operator()(Handler&& handler, std::string name, const connect_options& options) const {
    handled_operation<connect_operation, Result, std::decay_t<Handler>, Executor>::begin(
        std::forward<Handler>(handler), executor_, Result(executor_), context_if_any(executor_),
        std::move(name), options, kind_);
  }

private:
  Executor executor_;
  handshake::record_kind kind_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
