// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/as_channel.hpp>
#include <ringbell/asio/detail/asio_connection.hpp>
#include <ringbell/asio/detail/driven_loop.hpp>
#include <ringbell/asio/detail/handled_operation.hpp>
#include <ringbell/channel/detail/record_kind.hpp>
#include <ringbell/channel/listener_options.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace ringbell::detail {
class handshake_listener;
struct accepted_connection;
}  // namespace ringbell::detail

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// Listens under a name. Its listener and a pending accept hold it.
class asio_acceptor final : public driven_loop {
public:
  /// Errors: throws as `listener::bind`.
  asio_acceptor(net::execution_context& context, std::string_view name, listener_options options,
                handshake::record_kind kind = handshake::record_kind::messages);

  bool is_open() const noexcept { return impl_ != nullptr; }
  const std::string& path() const noexcept;
  std::size_t clients() const noexcept;
  void close() noexcept;

private:
  friend class accept_operation;
  ~asio_acceptor() override;
  void context_ends() noexcept override { close(); }

  std::unique_ptr<handshake_listener> impl_;
};

/// The path of the socket; empty when there is no open acceptor.
const std::string& path_of(const asio_acceptor* acceptor) noexcept;

class accept_operation : public operation {
public:
  using value_type = asio_connection*;
  /// Null when there was an error.
  asio_connection* take() noexcept { return std::exchange(connection_, nullptr); }

protected:
  /// `context` is that of the channel to be made; null when there is none.
  accept_operation(asio_acceptor* from, net::execution_context* context) noexcept
      : operation(context ? from : nullptr, towards_us),
        acceptor_(waits_on() ? from : nullptr),
        context_(context) {}
  ~accept_operation() override;
  progress advance(bool rung) override;
  bool has_connection() const noexcept { return connection_ != nullptr; }

private:
  bool start_channel(accepted_connection& client);

  asio_acceptor* acceptor_;
  net::execution_context* context_;
  asio_connection* connection_ = nullptr;
};

/// Accepts into an object of the user's, which keeps its executor. `Result` makes the value that is
/// assigned to that object.
template <class Peer, class Result>
class accept_into_operation : public accept_operation {
public:
  using value_type = void;

protected:
  accept_into_operation(asio_acceptor* from, Peer* peer)
      : accept_operation(from, context_if_any(peer->get_executor())),
        peer_(peer),
        result_(peer->get_executor()) {}
  progress advance(bool rung) override {
    if (peer_->is_open()) return finish(net::error::already_open);
    const progress p = accept_operation::advance(rung);
    if (has_connection()) *peer_ = result_.of(static_cast<accept_operation&>(*this));
    return p;
  }

private:
  Peer* peer_;
  Result result_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
