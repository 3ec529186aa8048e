// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/async_run.hpp>
#include <ringbell/asio/from_asio.hpp>
#include <ringbell/coro/stop_token.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/detail/access.hpp>
#include <ringbell/service/codec.hpp>
#include <ringbell/service/detail/outgoing.hpp>
#include <ringbell/service/payload.hpp>
#include <ringbell/service/reply.hpp>
#include <ringbell/service/server_options.hpp>
#include <ringbell/sys/peer_identity.hpp>
#include <ringbell/time_limit.hpp>

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell {
class request;
}

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// A native request, which the loop of its server frees, and that server.
struct asio_request_state;
using shared_request = std::shared_ptr<asio_request_state>;
std::uint32_t method_of(const shared_request& r) noexcept;
const payload& content_of(const shared_request& r) noexcept;
const sys::peer_identity& peer_of(const shared_request& r) noexcept;
std::optional<std::chrono::steady_clock::time_point> deadline_of(const shared_request& r) noexcept;
bool stop_requested(const shared_request& r) noexcept;
/// Passes a stop on to a handler: first `stop_requested()` becomes true, then it is cancelled.
class stop_request {
public:
  stop_request(const shared_request& r, inplace_stop_source& handler) noexcept
      : request_(r.get()), handler_(&handler) {}
  void operator()() noexcept;

private:
  asio_request_state* request_;
  inplace_stop_source* handler_;
};
/// Returns the executor of the server; empty when there is no request.
net::any_io_executor home_of(const shared_request& r);
run_start<std::optional<payload>> start_read(const shared_request& r) noexcept;
run_start<void> start_write(const shared_request& r, std::span<const std::byte> part) noexcept;

/// A native server and its loop.
struct asio_server_state;
using shared_request_handler = std::function<task<reply>(shared_request)>;
/// Makes a server, which ends with the last reference.
std::shared_ptr<asio_server_state> make_server_state(const net::any_io_executor& executor,
                                                     std::string_view name,
                                                     shared_request_handler handler,
                                                     server_options options);
bool is_open(const asio_server_state& server) noexcept;
void close(asio_server_state& server) noexcept;
const std::string& path_of(const asio_server_state* server) noexcept;
std::size_t clients_of(const asio_server_state& server) noexcept;
run_start<bool> start_stop(const std::shared_ptr<asio_server_state>& server,
                           time_limit grace) noexcept;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// What a handler of an Asio server gets: a `request` whose parts are read and written by
/// asynchronous operations, with any completion token.
///
/// Errors: `bad_descriptor` when the request was moved from, and once its server has ended. The
/// functions that return a value then return an empty one.
/// Thread-safety: the strand of the handler.
/// Cancellation: each operation by its handler's cancellation slot, of any type.
/// Lifetime: as `request`.
template <class Executor = net::any_io_executor>
class basic_asio_request {
public:
  /// The executor's type, as Asio's I/O objects have it.
  using executor_type = Executor;

  basic_asio_request(basic_asio_request&& other) noexcept
      : executor_(other.executor_), request_(std::move(other.request_)) {}
  basic_asio_request& operator=(basic_asio_request&& other) noexcept {
    executor_ = other.executor_;
    request_ = std::move(other.request_);
    return *this;
  }
  ~basic_asio_request() = default;

  /// Returns the executor.
  executor_type get_executor() const noexcept { return executor_; }

  /// These are as those of `request`.
  std::uint32_t method() const noexcept { return detail::method_of(request_); }
  std::span<const std::byte> bytes() const noexcept { return detail::content_of(request_).bytes(); }
  std::string_view text() const noexcept { return detail::content_of(request_).text(); }
  std::size_t size() const noexcept { return detail::content_of(request_).size(); }
  std::string_view metadata() const noexcept { return detail::content_of(request_).metadata(); }
  template <detail::decodable T>
  T as() const {
    return detail::content_of(request_).template as<T>();
  }
  const sys::peer_identity& peer() const noexcept { return detail::peer_of(request_); }
  std::optional<std::chrono::steady_clock::time_point> deadline() const noexcept {
    return detail::deadline_of(request_);
  }
  bool stop_requested() const noexcept { return detail::stop_requested(request_); }

  /// Waits for the next part of a streaming request; it is empty after the last.
  /// Completion signature: `void(error_code, std::optional<payload>)`.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_read(Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_read(request_), std::forward<Token>(token),
                             detail::home_of(request_));
  }
  /// Sends a part of the reply. Waits for the client's credit and for space.
  /// Completion signature: `void(error_code)`.
  /// Lifetime: the memory must stay valid until the operation has ended.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_write(net::const_buffer part,
                   Token&& token = net::default_completion_token_t<Executor>()) {
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(part.data()), part.size());
    return detail::begin_run(executor_, detail::start_write(request_, bytes),
                             std::forward<Token>(token), detail::home_of(request_));
  }

private:
  friend struct detail::access;
  basic_asio_request(const Executor& executor, detail::shared_request r)
      : executor_(executor), request_(std::move(r)) {}
  Executor executor_;
  detail::shared_request request_;
};

/// With an executor of any type.
using asio_request = basic_asio_request<>;

/// A `server` as an Asio object: its handlers are `asio::awaitable`s on an executor, beside the
/// sockets and timers there. It has the same wire format, limits and policies as `server`, and the
/// clients may be native or Asio clients. All copies are one server, which ends with the last of
/// them.
///
/// Handlers: as `server::handler_type` says. Where `request` says that the stop token of a handler
/// fires, the handler is cancelled (terminal).
/// Errors: a server that was moved from, closed or stopped is not open; its operations end with
/// `bad_descriptor`.
/// Thread-safety: one strand. On a context with several threads, pass a strand as the executor. The
/// handlers run there as well. If a context was given for them, each handler runs on a strand of
/// its own on that context.
/// Cancellation: `async_stop` by its handler's cancellation slot, of any type; see `server::stop`.
/// Lifetime: when the context ends first, it ends the server: clients see the connection end, and
/// handlers are destroyed. While a server is open, the context has work. Destruction ends it at
/// once: handlers are cancelled and end soon after. What they refer to must last until then.
template <class Executor = net::any_io_executor>
class basic_asio_server {
public:
  /// The executor's type, the type of a handler, and the same kind of object for another executor.
  using executor_type = Executor;
  using handler_type = std::function<net::awaitable<reply, Executor>(basic_asio_request<Executor>)>;
  template <class Other>
  struct rebind_executor {
    using other = basic_asio_server<Other>;
  };

  /// Listens under `name`.
  /// Errors: throws as `listener::bind`.
  basic_asio_server(const Executor& executor, std::string_view name, handler_type handler,
                    server_options options = {})
      : basic_asio_server(
            executor, name, std::move(handler), std::move(options), [executor] { return executor; },
            false) {}
  template <class ExecutionContext>
    requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
  basic_asio_server(ExecutionContext& context, std::string_view name, handler_type handler,
                    server_options options = {})
      : basic_asio_server(Executor(context.get_executor()), name, std::move(handler),
                          std::move(options)) {}
  /// Listens under `name`, with handlers that run concurrently on the threads of another context,
  /// or of the same one if it has several threads. `executor` must be a strand or have one thread.
  template <class HandlersContext>
    requires(
        std::is_convertible_v<HandlersContext&, net::execution_context&> &&
        std::is_constructible_v<Executor, net::strand<typename HandlersContext::executor_type>>)
  basic_asio_server(const Executor& executor, HandlersContext& handlers, std::string_view name,
                    handler_type handler, server_options options = {})
      : basic_asio_server(
            executor, name, std::move(handler), std::move(options),
            [on = handlers.get_executor()] { return Executor(net::make_strand(on)); }, true) {}
  template <class ExecutionContext, class HandlersContext>
    requires(std::is_convertible_v<ExecutionContext&, net::execution_context&> &&
             std::is_convertible_v<HandlersContext&, net::execution_context&>)
  basic_asio_server(ExecutionContext& context, HandlersContext& handlers, std::string_view name,
                    handler_type handler, server_options options = {})
      : basic_asio_server(Executor(context.get_executor()), handlers, name, std::move(handler),
                          std::move(options)) {}

  basic_asio_server(const basic_asio_server&) = default;
  basic_asio_server& operator=(const basic_asio_server&) = default;
  basic_asio_server(basic_asio_server&& other) noexcept
      : executor_(other.executor_), state_(std::move(other.state_)) {}
  basic_asio_server& operator=(basic_asio_server&& other) noexcept {
    executor_ = other.executor_;
    state_ = std::move(other.state_);
    return *this;
  }
  ~basic_asio_server() = default;

  /// Return the executor, and whether the object is open.
  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return state_ && detail::is_open(*state_); }
  /// Stops in order, as `server::stop` does. The `bool` says whether all ended by themselves.
  /// Completion signature: `void(error_code, bool)`.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_stop(time_limit grace, Token&& token = net::default_completion_token_t<Executor>()) {
    return detail::begin_run(executor_, detail::start_stop(state_, grace),
                             std::forward<Token>(token));
  }
  /// Ends the server at once, for all copies. A pending `async_stop` ends with `operation_aborted`.
  /// Further calls have no effect.
  void close() noexcept {
    if (state_) detail::close(*state_);
    state_.reset();
  }

  /// Returns the path of the socket, for messages; empty when the server is not open.
  const std::string& path() const noexcept { return detail::path_of(state_.get()); }
  /// Returns how many clients are connected.
  std::size_t clients() const noexcept { return state_ ? detail::clients_of(*state_) : 0; }

private:
  using shared_handler = std::shared_ptr<const handler_type>;
  template <class ExecutorOfRequest>
  basic_asio_server(const Executor& executor, std::string_view name, handler_type handler,
                    server_options options, ExecutorOfRequest executor_of_request, bool elsewhere)
      : executor_(executor),
        state_(detail::make_server_state(
            executor, name, bridge(std::move(handler), std::move(executor_of_request), elsewhere),
            std::move(options))) {}

  /// Keeps the handler's function alive until the handler has ended. A handler that is cancelled
  /// because the server goes ends later than the server. `elsewhere` says that the handler must not
  /// run on the thread that begins it.
  static net::awaitable<reply, Executor> run_handler(shared_handler handler,
                                                     basic_asio_request<Executor> r,
                                                     bool elsewhere) {
    if (elsewhere) co_await net::post(net::use_awaitable_t<Executor>());
    co_return co_await (*handler)(std::move(r));
  }
  static task<reply> answer(Executor executor, shared_handler handler, detail::shared_request r,
                            bool elsewhere) {
    // The handler's thread must not use the stop token, which belongs to the loop.
    const coroutine_context here = co_await current_context();
    inplace_stop_source stop;
    const inplace_stop_callback<detail::stop_request> on_stop(here.stop,
                                                              detail::stop_request(r, stop));
    co_await detail::adopt_stop_token(stop.get_token());
    co_return co_await from_asio(
        executor,
        run_handler(std::move(handler),
                    detail::access::make<basic_asio_request<Executor>>(executor, r), elsewhere));
  }
  template <class ExecutorOfRequest>
  static detail::shared_request_handler bridge(handler_type handler,
                                               ExecutorOfRequest executor_of_request,
                                               bool elsewhere) {
    return [executor_of_request, elsewhere,
            shared = std::make_shared<const handler_type>(std::move(handler))](
               detail::shared_request r) {
      return answer(executor_of_request(), shared, std::move(r), elsewhere);
    };
  }

  Executor executor_;
  std::shared_ptr<detail::asio_server_state> state_;
};
/// With an executor of any type.
using asio_server = basic_asio_server<>;

}  // namespace ringbell::inline RINGBELL_ASIO_ABI

#endif
