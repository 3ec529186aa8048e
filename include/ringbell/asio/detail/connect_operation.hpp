// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/as_channel.hpp>
#include <ringbell/asio/detail/asio_connection.hpp>
#include <ringbell/asio/detail/handled_operation.hpp>
#include <ringbell/channel/connect_options.hpp>

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
                    const connect_options& options);
  ~connect_operation() override;
  progress advance(bool rung) override;

private:
  connect_operation(net::execution_context* context, std::string name,
                    const connect_options& options, net_error_code error);
  connect_operation(net::execution_context* context, asio_connector* connector);

  net::execution_context* context_;
  asio_connector* connector_;
  asio_connection* connection_ = nullptr;
};

template <class Executor>
class initiate_connect {
public:
  using executor_type = Executor;
  explicit initiate_connect(const Executor& executor) noexcept : executor_(executor) {}
  executor_type get_executor() const noexcept { return executor_; }
  template <class Handler>
  void operator()(Handler&& handler, std::string name, const connect_options& options) const {
    handled_operation<connect_operation, as_channel<Executor>, std::decay_t<Handler>,
                      Executor>::begin(std::forward<Handler>(handler), executor_,
                                       as_channel<Executor>(executor_), context_if_any(executor_),
                                       std::move(name), options);
  }

private:
  Executor executor_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
