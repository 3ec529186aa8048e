// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/client.hpp>
#include <ringbell/asio/impl/service_loop.ipp>
#include <ringbell/call_stream.hpp>
#include <ringbell/client.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

// The client goes before its loop.
struct asio_client_state {
  explicit asio_client_state(const net::any_io_executor& executor) : on(executor) {}
  service_loop on;
  ringbell::client connection;
};

struct asio_stream_state {
  std::shared_ptr<asio_client_state> client;
  call_stream stream;
};

std::shared_ptr<asio_client_state> make_client_state(const net::any_io_executor& executor) {
  return share_on_loop<asio_client_state>(executor, executor);
}
loop& service_loop_of(asio_client_state& client) noexcept { return client.on.lp(); }
bool is_open(const asio_client_state& client) noexcept { return static_cast<bool>(client.connection); }
void close(asio_client_state& client) noexcept { client.connection.close(); }
sys::peer_identity peer_of(const asio_client_state& client) noexcept { return client.connection.peer(); }

std::shared_ptr<asio_stream_state> open_stream(std::shared_ptr<asio_client_state> client, std::uint32_t method,
                                               std::span<const std::byte> request, call_options options) {
  call_stream stream = client->connection.open(method, request, options);
  return std::make_shared<asio_stream_state>(std::move(client), std::move(stream));
}
loop& service_loop_of(asio_stream_state& stream) noexcept { return stream.client->on.lp(); }
void finish(asio_stream_state& stream) { stream.stream.finish(); }

task<void> connect_client(std::shared_ptr<asio_client_state> state, std::string name, client_options options) {
  task<ringbell::client> connecting = ringbell::client::connect(state->on.lp(), std::move(name), options);
  state->connection = co_await std::move(connecting);
}

task<payload> run_call(std::shared_ptr<asio_client_state> state, std::uint32_t method, std::span<const std::byte> request,
                       call_options options) {
  co_return co_await state->connection.call(method, request, options);
}

task<call_outcome> run_call_to_outcome(std::shared_ptr<asio_client_state> state, std::uint32_t method, std::span<const std::byte> request,
                                       call_options options) {
  call_outcome outcome;
  try {
    outcome.reply = co_await state->connection.call(method, request, options);
  } catch (...) {
    outcome.error = std::current_exception();
  }
  co_return outcome;
}

task<std::optional<payload>> run_read(std::shared_ptr<asio_stream_state> s) { co_return co_await s->stream.read(); }
task<void> run_write(std::shared_ptr<asio_stream_state> s, std::span<const std::byte> part) { co_await s->stream.write(part); }
task<payload> run_reply(std::shared_ptr<asio_stream_state> s) { co_return co_await s->stream.reply(); }

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
