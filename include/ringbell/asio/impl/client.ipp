// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/client.hpp>
#include <ringbell/asio/impl/service_state.ipp>
#include <ringbell/service/call_error.hpp>
#include <ringbell/service/call_stream.hpp>
#include <ringbell/service/client.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// A value of any type, for the typed calls.
struct any_value {
  const outgoing& of;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

template <>
struct ringbell::codec<ringbell::detail::any_value> {
  static std::size_t size(const detail::any_value& value) { return value.of.size(); }
  static void encode(const detail::any_value& value, std::span<std::byte> into) {
    value.of.write(into);
  }
};

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

struct asio_client_state final : service_state {
  explicit asio_client_state(const net::any_io_executor& executor) : service_state(executor) {}
  ~asio_client_state() override = default;
  /// Closes the connection. Calls end with `errc::closed`; for that their tasks have to run again.
  void close(bool may_run) noexcept override {
    connection.close();
    try {
      if (may_run) lp().run_ready();
    } catch (...) {
      // What a codec or an observer throws here is not reported.
    }
  }
  void drop() noexcept override { connection = {}; }

  client connection;
};

struct asio_stream_state {
  std::shared_ptr<asio_client_state> client;
  call_stream stream;
};

namespace {

// Coroutines with parameters, and not lambdas, because a coroutine owns its parameters.
task<void> run_connect(std::shared_ptr<asio_client_state> state, std::string name,
                       client_options options) {
  try {
    task<client> connecting = client::connect(state->lp(), std::move(name), options);
    state->connection = co_await std::move(connecting);
  } catch (...) {
    state->end();
    throw;
  }
}
task<payload> run_call(std::shared_ptr<asio_client_state> state, std::uint32_t method,
                       std::span<const std::byte> request, call_options options) {
  co_return co_await state->connection.call(method, request, options);
}
task<payload> run_call_with(std::shared_ptr<asio_client_state> state, std::uint32_t method,
                            std::unique_ptr<const outgoing> value, call_options options) {
  const any_value request{*value};
  co_return co_await state->connection.call_with(method, request, options);
}
task<call_outcome> run_to_outcome(task<payload> call) {
  call_outcome outcome;
  try {
    outcome.reply = co_await std::move(call);
  } catch (...) {
    outcome.error = std::current_exception();
  }
  co_return outcome;
}
task<std::optional<payload>> run_read(std::shared_ptr<asio_stream_state> s) {
  co_return co_await s->stream.read();
}
task<void> run_write(std::shared_ptr<asio_stream_state> s, std::span<const std::byte> part) {
  co_await s->stream.write(part);
}
task<void> run_write_value(std::shared_ptr<asio_stream_state> s,
                           std::unique_ptr<const outgoing> part) {
  const any_value value{*part};
  co_await s->stream.write_value(value);
}
task<payload> run_reply(std::shared_ptr<asio_stream_state> s) {
  co_return co_await s->stream.reply();
}

/// The client of a stream; null when there is no stream.
std::shared_ptr<asio_client_state> client_of(const std::shared_ptr<asio_stream_state>& s) noexcept {
  return s ? s->client : nullptr;
}

}  // namespace

run_start<void> start_connect(const net::any_io_executor& executor,
                              std::shared_ptr<asio_client_state>& state, std::string name,
                              const client_options& options) noexcept {
  try {
    state = executor ? make_service_state<asio_client_state>(executor) : nullptr;
  } catch (...) {
    state = nullptr;
    return run_start<void>(why_not());
  }
  return start_on<void>(state, [&] { return run_connect(state, std::move(name), options); });
}
bool is_open(const asio_client_state& client) noexcept {
  return static_cast<bool>(client.connection);
}
void close(asio_client_state& client) noexcept { client.end(); }
sys::peer_identity peer_of(const asio_client_state& client) noexcept {
  return client.connection.peer();
}

run_start<payload> start_call(const std::shared_ptr<asio_client_state>& state, std::uint32_t method,
                              std::span<const std::byte> request,
                              const call_options& options) noexcept {
  return start_on<payload>(state, [&] { return run_call(state, method, request, options); });
}
run_start<payload> start_call_with(const std::shared_ptr<asio_client_state>& state,
                                   std::uint32_t method, std::unique_ptr<const outgoing> value,
                                   const call_options& options) noexcept {
  if (!value) return run_start<payload>(net::error::no_memory);
  return start_on<payload>(state,
                           [&] { return run_call_with(state, method, std::move(value), options); });
}
run_start<call_outcome> start_call_to_outcome(run_start<payload> call) noexcept {
  if (!call.lp()) return run_start<call_outcome>(call.error());
  try {
    return run_start<call_outcome>(*call.lp(), run_to_outcome(call.take()));
  } catch (...) {
    return run_start<call_outcome>(why_not());
  }
}
payload call_outcome::take() {
  if (!error) return std::move(reply);
  const net_error_code known = to_net(error);
  try {
    std::rethrow_exception(std::move(error));
  } catch (const call_error& e) {
    throw call_error(known, e.text());
  } catch (const std::system_error&) {
    throw net_system_error(known);
  }
}

std::shared_ptr<asio_stream_state> open_stream(const std::shared_ptr<asio_client_state>& client,
                                               std::uint32_t method,
                                               std::span<const std::byte> request,
                                               const call_options& options) {
  if (!client || client->ended()) return nullptr;
  call_stream stream = client->connection.open(method, request, options);
  return std::make_shared<asio_stream_state>(client, std::move(stream));
}
void finish(asio_stream_state& stream) noexcept { stream.stream.finish(); }
run_start<std::optional<payload>> start_read(const std::shared_ptr<asio_stream_state>& s) noexcept {
  return start_on<std::optional<payload>>(client_of(s), [&] { return run_read(s); });
}
run_start<void> start_write(const std::shared_ptr<asio_stream_state>& s,
                            std::span<const std::byte> part) noexcept {
  return start_on<void>(client_of(s), [&] { return run_write(s, part); });
}
run_start<void> start_write_value(const std::shared_ptr<asio_stream_state>& s,
                                  std::unique_ptr<const outgoing> part) noexcept {
  if (!part) return run_start<void>(net::error::no_memory);
  return start_on<void>(client_of(s), [&] { return run_write_value(s, std::move(part)); });
}
run_start<payload> start_reply(const std::shared_ptr<asio_stream_state>& s) noexcept {
  return start_on<payload>(client_of(s), [&] { return run_reply(s); });
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
