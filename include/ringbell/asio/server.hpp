// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/async_run.hpp>
#include <ringbell/asio/from_asio.hpp>
#include <ringbell/payload.hpp>
#include <ringbell/reply.hpp>
#include <ringbell/server_options.hpp>
#include <ringbell/sys/peer_identity.hpp>
#include <ringbell/task.hpp>
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

using shared_request = std::shared_ptr<request>;
std::uint32_t method_of(const request& r) noexcept;
const payload& content_of(const request& r) noexcept;
const sys::peer_identity& peer_of(const request& r) noexcept;
std::optional<std::chrono::steady_clock::time_point> deadline_of(const request& r) noexcept;
bool stop_requested(const request& r) noexcept;
task<std::optional<payload>> run_read(shared_request r);
task<void> run_write(shared_request r, std::span<const std::byte> part);

/// A native server, and its loop.
struct asio_server_state;
using shared_request_handler = std::function<task<reply>(loop&, shared_request)>;
std::shared_ptr<asio_server_state> make_server_state(const net::any_io_executor& executor, std::string_view name,
                                                     shared_request_handler handler, server_options options);
loop& service_loop_of(asio_server_state& server) noexcept;
const std::string& path_of(const asio_server_state& server) noexcept;
std::size_t clients_of(const asio_server_state& server) noexcept;
task<bool> run_stop(std::shared_ptr<asio_server_state> server, time_limit grace);

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// What a handler of an Asio server gets: a `request`, whose parts are read and written by asynchronous operations with any completion token.
/// Thread-safety, lifetime: as `request`, on the server's strand.
template <class Executor = net::any_io_executor>
class basic_asio_request {
public:
  using executor_type = Executor;
  /// For `basic_asio_server`.
  basic_asio_request(const Executor& executor, loop& lp, detail::shared_request r)
      : executor_(executor), loop_(&lp), request_(std::move(r)) {}
  executor_type get_executor() const noexcept { return executor_; }

  std::uint32_t method() const noexcept { return detail::method_of(*request_); }
  std::span<const std::byte> bytes() const noexcept { return detail::content_of(*request_).bytes(); }
  std::string_view text() const noexcept { return detail::content_of(*request_).text(); }
  std::size_t size() const noexcept { return detail::content_of(*request_).size(); }
  std::string_view metadata() const noexcept { return detail::content_of(*request_).metadata(); }
  template <decodable T>
  T as() const {
    return detail::content_of(*request_).template as<T>();
  }
  const sys::peer_identity& peer() const noexcept { return detail::peer_of(*request_); }
  std::optional<std::chrono::steady_clock::time_point> deadline() const noexcept { return detail::deadline_of(*request_); }
  bool stop_requested() const noexcept { return detail::stop_requested(*request_); }

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
  detail::shared_request request_;
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
      : executor_(executor), state_(detail::make_server_state(executor, name, bridge(executor, std::move(handler)), std::move(options))) {}
  template <class ExecutionContext>
    requires std::is_convertible_v<ExecutionContext&, net::execution_context&>
  basic_asio_server(ExecutionContext& context, std::string_view name, handler_type handler, server_options options = {})
      : basic_asio_server(Executor(context.get_executor()), name, std::move(handler), std::move(options)) {}

  executor_type get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return state_ != nullptr; }
  /// Stops in order, as `server::stop`: `void(error_code, bool)`, whether all ended by themselves.
  template <class Token = net::default_completion_token_t<Executor>>
  auto async_stop(time_limit grace, Token&& token = net::default_completion_token_t<Executor>()) {
    return async_run(executor_, detail::service_loop_of(*state_), detail::run_stop(state_, grace), std::forward<Token>(token));
  }
  /// Ends it at once. Idempotent.
  void close() noexcept { state_.reset(); }

  const std::string& path() const noexcept { return detail::path_of(*state_); }
  std::size_t clients() const noexcept { return state_ ? detail::clients_of(*state_) : 0; }

private:
  using shared_handler = std::shared_ptr<const handler_type>;
  /// A handler that is cancelled since the server goes ends later than that: what it is stays until then.
  static net::awaitable<reply, Executor> run_handler(shared_handler handler, basic_asio_request<Executor> r) {
    co_return co_await (*handler)(std::move(r));
  }
  static task<reply> answer(Executor executor, loop& lp, shared_handler handler, detail::shared_request r) {
    co_return co_await from_asio(executor, run_handler(std::move(handler), basic_asio_request<Executor>(executor, lp, std::move(r))));
  }
  static detail::shared_request_handler bridge(const Executor& executor, handler_type handler) {
    return [executor, shared = std::make_shared<const handler_type>(std::move(handler))](loop& lp, detail::shared_request r) {
      return answer(executor, lp, shared, std::move(r));
    };
  }

  Executor executor_;
  std::shared_ptr<detail::asio_server_state> state_;
};
using asio_server = basic_asio_server<>;

}  // namespace ringbell::inline RINGBELL_ASIO_ABI

#endif
