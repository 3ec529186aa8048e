// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/async_run.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/service/call_error.hpp>
#include <ringbell/service/client_options.hpp>
#include <ringbell/service/codec.hpp>
#include <ringbell/service/detail/outgoing.hpp>
#include <ringbell/service/method.hpp>
#include <ringbell/service/payload.hpp>
#include <ringbell/sys/peer_identity.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// What all copies of a client, and its streams, share: a native client, and its loop.
struct asio_client_state;
/// Makes a new `state`.
run_start<void> start_connect(const net::any_io_executor& executor,
                              std::shared_ptr<asio_client_state>& state, std::string name,
                              const client_options& options) noexcept;
bool is_open(const asio_client_state& client) noexcept;
void close(asio_client_state& client) noexcept;
sys::peer_identity peer_of(const asio_client_state& client) noexcept;
run_start<payload> start_call(const std::shared_ptr<asio_client_state>& state, std::uint32_t method,
                              std::span<const std::byte> request,
                              const call_options& options) noexcept;
/// `value`: null without the memory for it.
run_start<payload> start_call_with(const std::shared_ptr<asio_client_state>& state,
                                   std::uint32_t method, std::unique_ptr<const outgoing> value,
                                   const call_options& options) noexcept;
/// A reply, or the exception that came instead, with the text that an error code cannot carry.
struct call_outcome {
  call_outcome() noexcept {}
  /// Throws the exception in Asio's terms.
  payload take();
  payload reply;
  std::exception_ptr error;
};
run_start<call_outcome> start_call_to_outcome(run_start<payload> call) noexcept;

/// A native stream, and its client.
struct asio_stream_state;
std::shared_ptr<asio_stream_state> open_stream(const std::shared_ptr<asio_client_state>& client,
                                               std::uint32_t method,
                                               std::span<const std::byte> request,
                                               const call_options& options);
void finish(asio_stream_state& stream) noexcept;
run_start<std::optional<payload>> start_read(const std::shared_ptr<asio_stream_state>& s) noexcept;
run_start<void> start_write(const std::shared_ptr<asio_stream_state>& s,
                            std::span<const std::byte> part) noexcept;
run_start<void> start_write_value(const std::shared_ptr<asio_stream_state>& s,
                                  std::unique_ptr<const outgoing> part) noexcept;
run_start<payload> start_reply(const std::shared_ptr<asio_stream_state>& s) noexcept;

inline std::span<const std::byte> bytes_of(net::const_buffer b) noexcept {
  return {static_cast<const std::byte*>(b.data()), b.size()};
}

/// A value that stays where it is; null without memory.
template <detail::encodable T>
std::unique_ptr<const outgoing> borrow(const T& value) noexcept {
  return std::unique_ptr<const outgoing>(new (std::nothrow) borrowed<T>(value));
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// A call with parts (see `call_stream`), made by `basic_asio_client::open`. Operations take any
/// completion token; errors and cancellation as there.
/// Errors: `bad_descriptor` where there is no call: when it was moved from, and when its client was
/// not open.
/// Thread-safety: the client's strand. Lifetime: keeps the connection; destruction cancels the
/// call.
template <class Executor = net::any_io_executor>
class basic_asio_call_stream {
public:
  using executor_type = Executor;
  /// For `basic_asio_client::open`.
  basic_asio_call_stream(const Executor& executor, std::shared_ptr<detail::asio_stream_state> state)
      : executor_(executor), state_(std::move(state)) {}
  basic_asio_call_stream(basic_asio_call_stream&& other) noexcept
      : executor_(other.executor_), state_(std::move(other.state_)) {}
  basic_asio_call_stream& operator=(basic_asio_call_stream&& other) noexcept {
    executor_ = other.executor_;
    state_ = std::move(other.state_);
    return *this;
  }
  ~basic_asio_call_stream() = default;
  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return state_ != nullptr; }

  /// Sends a part; waits for credit and space: `void(error_code)`. The memory must stay until then.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_write(net::const_buffer part,
                   Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_write(state_, detail::bytes_of(part)),
                             std::forward<Token>(token));
  }
  /// The same with a value, which its `codec` writes.
  template <detail::encodable T, class Token = net::default_completion_token_t<Executor>>
  auto async_write_value(const T& part,
                         Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_write_value(state_, detail::borrow(part)),
                             std::forward<Token>(token));
  }
  /// No further parts of the request. Idempotent.
  void finish() noexcept {
    if (state_) detail::finish(*state_);
  }
  /// The next part of the reply: `void(error_code, std::optional<payload>)`, empty when there are
  /// no more.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_read(Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_read(state_), std::forward<Token>(token));
  }
  /// The reply that ends the call: `void(error_code, payload)`. Once.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_reply(Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_reply(state_), std::forward<Token>(token));
  }

private:
  Executor executor_;
  std::shared_ptr<detail::asio_stream_state> state_;
};
using asio_call_stream = basic_asio_call_stream<>;

/// A `client` as an Asio object: calls are asynchronous operations on an executor, with any
/// completion token. The same wire format, limits and policies; the peer may be either kind of
/// server. A handle, cheap to copy: all copies are one connection.
///
/// Errors, as `error_code`: as `client`, in Asio's terms (`connection_reset` for a connection that
/// ended, `timed_out`, `operation_aborted` when cancelled); what a handler answered as its code, of
/// which `call` throws the text as well. `bad_descriptor` when it is not open: never connected,
/// moved from, closed.
/// Cancellation: each operation by its handler's cancellation slot, of any type; the server is
/// told.
/// Thread-safety: one strand; on a context with several threads, pass a strand as the executor.
/// Lifetime: the context outlives it, or ends it: the server sees the end. While a client is open
/// the context has work, so that its connection is looked after: `close()` or destroy it, and the
/// context's `run()` may return.
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
  basic_asio_client(const basic_asio_client&) = default;
  basic_asio_client& operator=(const basic_asio_client&) = default;
  basic_asio_client(basic_asio_client&& other) noexcept
      : executor_(other.executor_), state_(std::move(other.state_)) {}
  basic_asio_client& operator=(basic_asio_client&& other) noexcept {
    executor_ = other.executor_;
    state_ = std::move(other.state_);
    return *this;
  }
  ~basic_asio_client() = default;
  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return state_ && detail::is_open(*state_); }

  /// Connects to a service, with retries until the options' timeout: `void(error_code)`. What this
  /// object was connected to before, it lets go.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_connect(std::string name, client_options options,
                     Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_,
                             detail::start_connect(executor_, state_, std::move(name), options),
                             std::forward<Token>(token));
  }
  template <class Token = net::default_completion_token_t<Executor>>
    requires(!std::is_convertible_v<Token, client_options>)
  auto async_connect(std::string name,
                     Token&& token = net::default_completion_token_t<Executor>()) {
    return async_connect(std::move(name), client_options(), std::forward<Token>(token));
  }

  /// Calls a method: `void(error_code, payload)`. The request's memory must stay until then. A time
  /// limit may stand in place of the options: `timed_out` when the reply has not come by then.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_call(std::uint32_t method, net::const_buffer request, call_options options,
                  Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_,
                             detail::start_call(state_, method, detail::bytes_of(request), options),
                             std::forward<Token>(token));
  }
  template <class Token = net::default_completion_token_t<Executor>>
    requires(!std::is_convertible_v<Token, call_options>)
  auto async_call(std::uint32_t method, net::const_buffer request,
                  Token&& token = net::default_completion_token_t<Executor>()) {
    return async_call(method, request, call_options(), std::forward<Token>(token));
  }
  /// The same with a value, which its `codec` writes into the ring, and which must stay as well.
  template <detail::encodable T, class Token = net::default_completion_token_t<Executor>>
  auto async_call_with(std::uint32_t method, const T& request, call_options options,
                       Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(
        executor_, detail::start_call_with(state_, method, detail::borrow(request), options),
        std::forward<Token>(token));
  }
  template <detail::encodable T, class Token = net::default_completion_token_t<Executor>>
    requires(!std::is_convertible_v<Token, call_options>)
  auto async_call_with(std::uint32_t method, const T& request,
                       Token&& token = net::default_completion_token_t<Executor>()) {
    return async_call_with(method, request, call_options(), std::forward<Token>(token));
  }
#ifdef RINGBELL_ASIO_HAS_CO_AWAIT
  /// The same in a coroutine: `co_await c.call(method, buffer, 50ms)`. Throws `call_error` with the
  /// service's text, else Asio's `system_error`.
  net::awaitable<payload, Executor> call(std::uint32_t method, net::const_buffer request = {},
                                         call_options options = {}) {
    return finish_call(detail::start_call(state_, method, detail::bytes_of(request), options));
  }
  /// `co_await c.call_with(add, pair)`, then `.as<int>()`. The value must stay until then.
  template <detail::encodable T>
  net::awaitable<payload, Executor> call_with(std::uint32_t method, const T& request,
                                              call_options options = {}) {
    return finish_call(detail::start_call_with(state_, method, detail::borrow(request), options));
  }
#endif
  /// Begins a call with parts. The request is copied. When the client is not open, neither is the
  /// stream. Throws for lack of memory.
  basic_asio_call_stream<Executor> open(std::uint32_t method, net::const_buffer request = {},
                                        call_options options = {}) {
    return basic_asio_call_stream<Executor>(
        executor_, detail::open_stream(state_, method, detail::bytes_of(request), options));
  }

  /// Ends the connection, in order; calls that are under way end with `bad_descriptor`, an
  /// `async_connect` with `operation_aborted`. For all copies. Idempotent.
  void close() noexcept {
    if (state_) detail::close(*state_);
    state_.reset();
  }
  /// The server's identity, by the kernel's word; an empty one when the client is not open.
  sys::peer_identity peer() const noexcept {
    return state_ ? detail::peer_of(*state_) : sys::peer_identity();
  }

private:
#ifdef RINGBELL_ASIO_HAS_CO_AWAIT
  net::awaitable<payload, Executor> finish_call(detail::run_start<payload> call) {
    auto outcome =
        co_await detail::begin_run(executor_, detail::start_call_to_outcome(std::move(call)),
                                   net::use_awaitable_t<Executor>());
    co_return outcome.take();
  }
#endif
  Executor executor_;
  std::shared_ptr<detail::asio_client_state> state_;
};
using asio_client = basic_asio_client<>;

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
