// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/accept_operation.hpp>
#include <ringbell/channel/detail/handshake_listener.hpp>
#include <ringbell/loop/loop.hpp>

#include <new>
#include <optional>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

asio_acceptor::asio_acceptor(net::execution_context& context, std::string_view name,
                             listener_options options, handshake::record_kind kind)
    : driven_loop(context), impl_(handshake_listener::bind(lp(), name, std::move(options), kind)) {}

asio_acceptor::~asio_acceptor() { asio_acceptor::close(); }

const std::string& path_of(const asio_acceptor* acceptor) noexcept {
  static const std::string none;
  return acceptor && acceptor->is_open() ? acceptor->path() : none;
}
const std::string& asio_acceptor::path() const noexcept { return impl_->path(); }
std::size_t asio_acceptor::clients() const noexcept { return impl_ ? impl_->clients() : 0; }

void asio_acceptor::close() noexcept {
  impl_.reset();
  stop();
}

accept_operation::~accept_operation() {
  if (connection_) connection_->orphan();
}

progress accept_operation::advance(bool) {
  handshake_listener& impl = *acceptor_->impl_;
  for (;;) {
    std::optional<accepted_connection> client = impl.take();
    if (!client) {
      acceptor_->run_ready();
      client = impl.take();
    }
    if (!client) return progress::sleep;
    if (start_channel(*client)) return finish(errc{});
  }
}

/// A client that cannot be served for lack of memory or descriptors is hung up on. The accept goes
/// on with the next client.
bool accept_operation::start_channel(accepted_connection& client) {
  try {
    connection_ = new asio_connection(*context_, std::move(client.parts), std::move(client.slot));
  } catch (const std::bad_alloc&) {
    return false;
  }
  net_error_code error;
  connection_->start(error);
  if (error) take()->orphan();
  return !error;
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
