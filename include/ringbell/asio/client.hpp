// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/async_run.hpp>
#include <ringbell/call_error.hpp>
#include <ringbell/client_options.hpp>
#include <ringbell/method.hpp>
#include <ringbell/payload.hpp>
#include <ringbell/sys/peer_identity.hpp>
#include <ringbell/task.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// What all copies of a client, and its streams, share: a native client, and its loop.
struct asio_client_state;
std::shared_ptr<asio_client_state> make_client_state(const net::any_io_executor& executor);
loop& service_loop_of(asio_client_state& client) noexcept;
bool is_open(const asio_client_state& client) noexcept;
void close(asio_client_state& client) noexcept;
sys::peer_identity peer_of(const asio_client_state& client) noexcept;

// Coroutines of their own, and not lambdas: what they work on is theirs.
task<void> connect_client(std::shared_ptr<asio_client_state> state, std::string name, client_options options);
task<payload> run_call(std::shared_ptr<asio_client_state> state, std::uint32_t method, std::span<const std::byte> request,
                       call_options options);

/// A reply, or the exception that came instead, with the text that an error code cannot carry.
struct call_outcome {
  call_outcome() noexcept {}
  payload reply;
  std::exception_ptr error;
};
task<call_outcome> run_call_to_outcome(std::shared_ptr<asio_client_state> state, std::uint32_t method, std::span<const std::byte> request,
                                       call_options options);

/// A native stream, and its client.
struct asio_stream_state;
std::shared_ptr<asio_stream_state> open_stream(std::shared_ptr<asio_client_state> client, std::uint32_t method,
                                               std::span<const std::byte> request, call_options options);
loop& service_loop_of(asio_stream_state& stream) noexcept;
void finish(asio_stream_state& stream);
task<std::optional<payload>> run_read(std::shared_ptr<asio_stream_state> s);
task<void> run_write(std::shared_ptr<asio_stream_state> s, std::span<const std::byte> part);
task<payload> run_reply(std::shared_ptr<asio_stream_state> s);

inline std::span<const std::byte> bytes_of(net::const_buffer b) noexcept { return {static_cast<const std::byte*>(b.data()), b.size()}; }

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// A call with parts (see `call_stream`), made by `basic_asio_client::open`. Operations take any completion token; errors and cancellation as there.
/// Thread-safety: the client's strand. Lifetime: keeps the connection; destruction cancels the call.
template <class Executor = net::any_io_executor>
class basic_asio_call_stream {
public:
  using executor_type = Executor;
  /// For `basic_asio_client::open`.
  basic_asio_call_stream(const Executor& executor, std::shared_ptr<detail::asio_stream_state> state)
      : executor_(executor), state_(std::move(state)) {}
  executor_type get_executor() const noexcept { return executor_; }

  /// Sends a part; waits for credit and space: `void(error_code)`. The memory must stay until then.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_write(net::const_buffer part, Token&& token = net::default_completion_token_t<Executor>()) {
    return run(detail::run_write(state_, detail::bytes_of(part)), std::forward<Token>(token));
  }
  /// No further parts of the request.
  void finish() { detail::finish(*state_); }
  /// The next part of the reply: `void(error_code, std::optional<payload>)`, empty when there are no more.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_read(Token&& token = net::default_completion_token_t<Executor>()) {
    return run(detail::run_read(state_), std::forward<Token>(token));
  }
  /// The reply that ends the call: `void(error_code, payload)`. Once.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_reply(Token&& token = net::default_completion_token_t<Executor>()) {
    return run(detail::run_reply(state_), std::forward<Token>(token));
  }

private:
  template <class T, class Token>
  auto run(task<T> what, Token&& token) {
    return async_run(executor_, detail::service_loop_of(*state_), std::move(what), std::forward<Token>(token));
  }
  Executor executor_;
  std::shared_ptr<detail::asio_stream_state> state_;
};
using asio_call_stream = basic_asio_call_stream<>;

/// A `client` as an Asio object: calls are asynchronous operations on an executor, with any completion token. The same wire format, limits and policies; the peer
/// may be either kind of server. A handle, cheap to copy: all copies are one connection.
///
/// Errors, as `error_code`: as `client`, in Asio's terms (`connection_reset` for a connection that ended, `operation_aborted` when cancelled); what a handler answered
/// as its code, of which `call` throws the text as well.
/// Cancellation: each operation by its handler's cancellation slot, of any type; the server is told.
/// Thread-safety: one strand; on a context with several threads, pass a strand as the executor. Lifetime: the context outlives it. While a client is open
/// the context has work, so that its connection is looked after: `close()` or destroy it, and the context's `run()` may return.
template <class Executor = net::any_io_executor>
class basic_asio_client {
public:
  using executor_type = Executor;
  template <class Other>
  struct rebind_executor {
    using other = basic_asio_client<Other>;
  };

  explicit basic_asio_client(const Executor& executor) : executor_(executor) {}
  template <class ExecutionContext>
    requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
  explicit basic_asio_client(ExecutionContext& context) : executor_(context.get_executor()) {}
  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return state_ && detail::is_open(*state_); }

  /// Connects to a service, with retries until the options' timeout: `void(error_code)`. Once, before anything else.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_connect(std::string name, client_options options, Token&& token = net::default_completion_token_t<Executor>()) {
    state_ = detail::make_client_state(executor_);
    return run(detail::connect_client(state_, std::move(name), options), std::forward<Token>(token));
  }
  template <class Token = net::default_completion_token_t<Executor>>
    requires(!std::is_convertible_v<Token, client_options>)
  auto async_connect(std::string name, Token&& token = net::default_completion_token_t<Executor>()) {
    return async_connect(std::move(name), client_options(), std::forward<Token>(token));
  }

  /// Calls a method: `void(error_code, payload)`. The request's memory must stay until then. `is_open()` must hold.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_call(std::uint32_t method, net::const_buffer request, call_options options,
                  Token&& token = net::default_completion_token_t<Executor>()) {
    return run(detail::run_call(state_, method, detail::bytes_of(request), options), std::forward<Token>(token));
  }
  template <class Token = net::default_completion_token_t<Executor>>
    requires(!std::is_convertible_v<Token, call_options>)
  auto async_call(std::uint32_t method, net::const_buffer request, Token&& token = net::default_completion_token_t<Executor>()) {
    return async_call(method, request, call_options(), std::forward<Token>(token));
  }
#ifdef RINGBELL_ASIO_HAS_CO_AWAIT
  /// The same in a coroutine; throws `call_error` with the service's text.
  net::awaitable<payload, Executor> call(std::uint32_t method, net::const_buffer request = {}, call_options options = {}) {
    detail::call_outcome outcome =
        co_await run(detail::run_call_to_outcome(state_, method, detail::bytes_of(request), options), net::use_awaitable_t<Executor>());
    if (outcome.error) std::rethrow_exception(outcome.error);
    co_return std::move(outcome.reply);
  }
#endif
  /// Begins a call with parts. The request is copied. `is_open()` must hold.
  basic_asio_call_stream<Executor> open(std::uint32_t method, net::const_buffer request = {}, call_options options = {}) {
    return basic_asio_call_stream<Executor>(executor_, detail::open_stream(state_, method, detail::bytes_of(request), options));
  }

  /// Ends the connection, in order; calls that are under way end with `bad_descriptor`. For all copies.
  void close() noexcept {
    if (state_) detail::close(*state_);
    state_.reset();
  }
  sys::peer_identity peer() const noexcept { return state_ ? detail::peer_of(*state_) : sys::peer_identity(); }

private:
  template <class T, class Token>
  auto run(task<T> what, Token&& token) {
    return async_run(executor_, detail::service_loop_of(*state_), std::move(what), std::forward<Token>(token));
  }
  Executor executor_;
  std::shared_ptr<detail::asio_client_state> state_;
};
using asio_client = basic_asio_client<>;

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
