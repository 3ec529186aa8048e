// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/service_loop.hpp>
#include <ringbell/asio/from_asio.hpp>
#include <ringbell/server.hpp>

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell {

namespace detail {
inline task<std::optional<payload>> run_read(std::shared_ptr<request> r) { co_return co_await r->read(); }
inline task<void> run_write(std::shared_ptr<request> r, std::span<const std::byte> part) { co_await r->write(part); }
}  // namespace detail

/// What a handler of an Asio server gets: a `request`, whose parts are read and written by asynchronous operations with any completion token.
/// Thread-safety, lifetime: as `request`, on the server's strand.
template <class Executor = net::any_io_executor>
class basic_asio_request {
public:
  using executor_type = Executor;
  basic_asio_request(const Executor& executor, loop& lp, request r)
      : executor_(executor), loop_(&lp), request_(std::make_shared<request>(std::move(r))) {}
  executor_type get_executor() const noexcept { return executor_; }

  std::uint32_t method() const noexcept { return request_->method(); }
  std::span<const std::byte> bytes() const noexcept { return request_->bytes(); }
  std::string_view text() const noexcept { return request_->text(); }
  std::size_t size() const noexcept { return request_->size(); }
  std::string_view metadata() const noexcept { return request_->metadata(); }
  template <decodable T>
  T as() const {
    return request_->template as<T>();
  }
  const sys::peer_identity& peer() const noexcept { return request_->peer(); }
  std::optional<std::chrono::steady_clock::time_point> deadline() const noexcept { return request_->deadline(); }
  bool stop_requested() const noexcept { return request_->stop_requested(); }

  /// The next part of a streaming request: `void(error_code, std::optional<payload>)`, empty after the last.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_read(Token&& token = net::default_completion_token_t<Executor>()) {
    return async_run(executor_, *loop_, detail::run_read(request_), std::forward<Token>(token));
  }
  /// Sends a part of the reply; waits for the client's credit and for space: `void(error_code)`. The memory must stay until then.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_write(net::const_buffer part, Token&& token = net::default_completion_token_t<Executor>()) {
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(part.data()), part.size());
    return async_run(executor_, *loop_, detail::run_write(request_, bytes), std::forward<Token>(token));
  }

private:
  Executor executor_;
  loop* loop_;
  std::shared_ptr<request> request_;
};
using asio_request = basic_asio_request<>;

/// A `server` as an Asio object: its handlers are `asio::awaitable`s on an executor, beside the sockets and timers there. The same wire format, limits and policies; the
/// clients may be of either kind.
///
/// Handlers: as `request_handler` says. They are cancelled (terminal) when `request` says that their stop token fires.
/// Thread-safety: one strand; on a context with several threads pass a strand as the executor, on which the handlers then run. Lifetime: the context outlives it.
/// While a server is open the context has work. Destruction ends it at once: handlers are cancelled, and end soon after; what they refer to must
/// last until then.
template <class Executor = net::any_io_executor>
class basic_asio_server {
public:
  using executor_type = Executor;
  using handler_type = std::function<net::awaitable<reply, Executor>(basic_asio_request<Executor>)>;
  template <class Other>
  struct rebind_executor {
    using other = basic_asio_server<Other>;
  };

  /// Listens under `name`. Throws as `listener::bind`.
  basic_asio_server(const Executor& executor, std::string_view name, handler_type handler, server_options options = {})
      : executor_(executor), state_(detail::share_on_loop<state>(executor, executor, name, std::move(handler), std::move(options))) {}
  template <class ExecutionContext>
    requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
  basic_asio_server(ExecutionContext& context, std::string_view name, handler_type handler, server_options options = {})
      : basic_asio_server(Executor(context.get_executor()), name, std::move(handler), std::move(options)) {}

  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return state_ != nullptr; }
  /// Stops in order, as `server::stop`: `void(error_code, bool)`, whether all ended by themselves.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_stop(std::chrono::nanoseconds grace, Token&& token = net::default_completion_token_t<Executor>()) {
    return async_run(executor_, state_->on.lp(), run_stop(state_, grace), std::forward<Token>(token));
  }
  /// Ends it at once. Idempotent.
  void close() noexcept { state_.reset(); }

  const std::string& path() const noexcept { return state_->service.path(); }
  std::size_t clients() const noexcept { return state_ ? state_->service.clients() : 0; }

private:
  struct state {
    state(const Executor& executor, std::string_view name, handler_type h, server_options options)
        : on(executor),
          service(on.lp(), name, bridge(executor, on.lp(), std::make_shared<const handler_type>(std::move(h))), std::move(options)) {}
    detail::service_loop on;
    server service;
  };
  using shared_handler = std::shared_ptr<const handler_type>;
  /// A handler that is cancelled since the server goes ends later than that: what it is stays until then.
  static net::awaitable<reply, Executor> run_handler(shared_handler handler, basic_asio_request<Executor> r) {
    co_return co_await (*handler)(std::move(r));
  }
  static task<reply> answer(Executor executor, loop& lp, shared_handler handler, request r) {
    co_return co_await from_asio(executor, run_handler(std::move(handler), basic_asio_request<Executor>(executor, lp, std::move(r))));
  }
  static request_handler bridge(const Executor& executor, loop& lp, shared_handler handler) {
    return [executor, &lp, handler](request r) { return answer(executor, lp, handler, std::move(r)); };
  }
  static task<bool> run_stop(std::shared_ptr<state> s, std::chrono::nanoseconds grace) {
    task<bool> stopping = s->service.stop(grace);
    co_return co_await std::move(stopping);
  }

  Executor executor_;
  std::shared_ptr<state> state_;
};
using asio_server = basic_asio_server<>;

}  // namespace ringbell

#endif
