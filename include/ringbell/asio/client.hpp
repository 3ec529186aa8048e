// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/async_run.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/detail/access.hpp>
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

/// What all copies of a client, and its streams, share: a native client and its loop.
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
/// `value` is null when there was no memory for it.
run_start<payload> start_call_with(const std::shared_ptr<asio_client_state>& state,
                                   std::uint32_t method, std::unique_ptr<const outgoing> value,
                                   const call_options& options) noexcept;
/// A reply, or the exception that came instead of it. The exception has a text, which an error code
/// cannot carry.
struct call_outcome {
  call_outcome() noexcept {}
  /// Returns the reply, or throws the exception in Asio's terms.
  payload take();
  payload reply;
  std::exception_ptr error;
};
run_start<call_outcome> start_call_to_outcome(run_start<payload> call) noexcept;

/// A native stream and its client.
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

/// A value that the caller keeps valid; null when there is no memory.
template <detail::encodable T>
std::unique_ptr<const outgoing> borrow(const T& value) noexcept {
  return std::unique_ptr<const outgoing>(new (std::nothrow) borrowed<T>(value));
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// A call with parts, made by `basic_asio_client::open`; see `call_stream`. Operations take any
/// completion token.
///
/// Errors: as `basic_asio_client`. `bad_descriptor` when there is no call, because the stream was
/// moved from or its client was not open.
/// Thread-safety: the strand of the client.
/// Cancellation: as `basic_asio_client`.
/// Lifetime: a stream keeps the connection alive. Destruction cancels the call.
template <class Executor = net::any_io_executor>
class basic_asio_call_stream {
public:
  /// The executor's type, as Asio's I/O objects have it.
  using executor_type = Executor;

  basic_asio_call_stream(basic_asio_call_stream&& other) noexcept
      : executor_(other.executor_), state_(std::move(other.state_)) {}
  basic_asio_call_stream& operator=(basic_asio_call_stream&& other) noexcept {
    executor_ = other.executor_;
    state_ = std::move(other.state_);
    return *this;
  }
  ~basic_asio_call_stream() = default;

  /// Return the executor, and whether the object is open.
  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return state_ != nullptr; }

  /// Sends a part of the request. Waits for credit and space.
  /// Completion signature: `void(error_code)`.
  /// Lifetime: the memory must stay valid until the operation has ended.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_write(net::const_buffer part,
                   Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_write(state_, detail::bytes_of(part)),
                             std::forward<Token>(token));
  }
  /// As `async_write`, with a value, which its `codec` writes.
  template <detail::encodable T, class Token = net::default_completion_token_t<Executor>>
  auto async_write_value(const T& part,
                         Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_write_value(state_, detail::borrow(part)),
                             std::forward<Token>(token));
  }
  /// Ends the parts of the request. Further calls have no effect.
  void finish() noexcept {
    if (state_) detail::finish(*state_);
  }
  /// Waits for the next part of the reply; it is empty when there are no more.
  /// Completion signature: `void(error_code, std::optional<payload>)`.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_read(Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_read(state_), std::forward<Token>(token));
  }
  /// Waits for the reply that ends the call. It can be taken once.
  /// Completion signature: `void(error_code, payload)`.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_reply(Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_reply(state_), std::forward<Token>(token));
  }

private:
  friend struct detail::access;
  basic_asio_call_stream(const Executor& executor, std::shared_ptr<detail::asio_stream_state> state)
      : executor_(executor), state_(std::move(state)) {}
  Executor executor_;
  std::shared_ptr<detail::asio_stream_state> state_;
};

/// With an executor of any type.
using asio_call_stream = basic_asio_call_stream<>;

/// A `client` as an Asio object: calls are asynchronous operations on an executor, with any
/// completion token. It has the same wire format, limits and policies as `client`, and the peer may
/// be a native or an Asio server. It is a handle and cheap to copy: all copies share one
/// connection.
///
/// Errors, as `error_code`: those of `client` in Asio's terms: `connection_reset` when the
/// connection has ended, `timed_out`, `operation_aborted` when cancelled. An error that a handler
/// answered is its code; `call` throws its text as well. `bad_descriptor` when the client is not
/// open: it was never connected, was moved from, or was closed.
/// Thread-safety: one strand. On a context with several threads, pass a strand as the executor.
/// Cancellation: each operation by its handler's cancellation slot, of any type; the server is
/// told.
/// Lifetime: when the context ends first, it ends the client, and the server sees the connection
/// end. While a client is open, the context has work, because the connection has to be served.
/// After `close()` or destruction, the context's `run()` may return.
template <class Executor = net::any_io_executor>
class basic_asio_client {
public:
  /// The executor's type, and the same kind of object for another one, as Asio's I/O objects have.
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

  /// Return the executor, and whether the object is open.
  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return state_ && detail::is_open(*state_); }

  /// Connects to the service `name`, with retries until the options' timeout. A connection that
  /// this object had before is given up.
  /// Completion signature: `void(error_code)`.
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

  /// Calls a method. A time limit may be given in place of the options: the call ends with
  /// `timed_out` when the reply has not come by then.
  /// Completion signature: `void(error_code, payload)`.
  /// Lifetime: the memory of the request must stay valid until the operation has ended.
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
  /// As `async_call`, with a value, which its `codec` writes into the ring.
  /// Lifetime: the value must stay valid until the operation has ended.
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
  /// As `async_call`, in a coroutine: `co_await c.call(method, buffer, 50ms)`.
  /// Errors: throws `call_error` with the service's text, else Asio's `system_error`.
  net::awaitable<payload, Executor> call(std::uint32_t method, net::const_buffer request = {},
                                         call_options options = {}) {
    return finish_call(detail::start_call(state_, method, detail::bytes_of(request), options));
  }
  /// As `call`, with a value: `(co_await c.call_with(add, pair)).as<int>()`.
  /// Lifetime: the value must stay valid until the call has ended.
  template <detail::encodable T>
  net::awaitable<payload, Executor> call_with(std::uint32_t method, const T& request,
                                              call_options options = {}) {
    return finish_call(detail::start_call_with(state_, method, detail::borrow(request), options));
  }
#endif
  /// Begins a call with parts. The request is copied. When the client is not open, the stream is
  /// not open either.
  /// Errors: throws for lack of memory.
  basic_asio_call_stream<Executor> open(std::uint32_t method, net::const_buffer request = {},
                                        call_options options = {}) {
    return detail::access::make<basic_asio_call_stream<Executor>>(
        executor_, detail::open_stream(state_, method, detail::bytes_of(request), options));
  }

  /// Ends the connection in order, for all copies. Calls that are under way end with
  /// `bad_descriptor`, an `async_connect` with `operation_aborted`. Further calls have no effect.
  void close() noexcept {
    if (state_) detail::close(*state_);
    state_.reset();
  }
  /// Returns the identity of the server by the kernel's word; an empty one when the client is not
  /// open.
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
/// With an executor of any type.
using asio_client = basic_asio_client<>;

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
