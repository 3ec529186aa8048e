// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/connect_operation.hpp>
#include <ringbell/asio/detail/driven_loop.hpp>
#include <ringbell/channel/connect.hpp>
#include <ringbell/loop/loop.hpp>

#include <exception>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// One `async_connect`, with its retries and its time limit.
class asio_connector final : public driven_loop {
public:
  asio_connector(net::execution_context& context, std::string name, const connect_options& options,
                 handshake::record_kind kind)
      : driven_loop(context) {
    lp().spawn(connect(std::move(name), options, kind));
  }

  /// Goes on. Returns true when it has ended with `parts` or with an `error`.
  bool ended() {
    run_ready();
    return parts.has_value() || error;
  }
  /// A connector has one operation only. A cancellation slot may hold this object for longer than
  /// the context lives, and does not use it then.
  void end(ticket t) noexcept override {
    waitable::end(t);
    stop();
  }
  std::optional<connection_parts> parts;
  std::error_code error;

private:
  task<void> connect(std::string name, connect_options options, handshake::record_kind kind) {
    try {
      task<connection_parts> connecting = connect_parts(lp(), std::move(name), options, kind);
      parts.emplace(co_await std::move(connecting));
    } catch (const std::system_error& e) {
      error = e.code();
    } catch (const std::bad_alloc&) {
      error = std::make_error_code(std::errc::not_enough_memory);
    }
  }
};

/// Returns null when there is no context, and null with an `error` when descriptors are lacking.
/// Errors: throws `std::bad_alloc`.
static asio_connector* make_connector(net::execution_context* context, std::string name,
                                      const connect_options& options, handshake::record_kind kind,
                                      net_error_code& error) {
  if (!context) return nullptr;
  try {
    return new asio_connector(*context, std::move(name), options, kind);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (...) {
    error = to_net(std::current_exception());
    if (!error) throw;
    return nullptr;
  }
}

connect_operation::connect_operation(net::execution_context* context, std::string name,
                                     const connect_options& options, handshake::record_kind kind)
    : connect_operation(context, std::move(name), options, kind, net_error_code()) {}

connect_operation::connect_operation(net::execution_context* context, std::string name,
                                     const connect_options& options, handshake::record_kind kind,
                                     net_error_code error)
    : connect_operation(context, make_connector(context, std::move(name), options, kind, error)) {
  if (error) fail(error);
}

connect_operation::connect_operation(net::execution_context* context, asio_connector* connector)
    : operation(connector, towards_us), context_(context), connector_(connector) {}

connect_operation::~connect_operation() {
  if (connection_) connection_->orphan();
}

progress connect_operation::advance(bool) {
  if (!connector_->ended()) return progress::sleep;
  if (connector_->error) return finish(to_net(connector_->error));
  connection_ = new asio_connection(*context_, std::move(*connector_->parts), client_slot());
  net_error_code error;
  connection_->start(error);
  if (error) take()->orphan();
  return finish(error);
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
