// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/loop/loop_pool.hpp>
#include <ringbell/service/reply.hpp>
#include <ringbell/service/request.hpp>
#include <ringbell/service/server_options.hpp>
#include <ringbell/time_limit.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ringbell {

namespace detail {
class server_impl;
using request_handler = std::function<task<reply>(request)>;
}  // namespace detail

/// A service: it binds a name, and answers the calls of any number of `client`s, on one thread or
/// on the threads of a `loop_pool`.
///
///     ringbell::task<ringbell::reply> answer(ringbell::request r) {
///       if (r.method() == ringbell::method_id("echo")) co_return ringbell::reply(r.bytes());
///       throw std::system_error(ringbell::errc::no_such_method);
///     }
///     ringbell::server echo(lp, "echo", answer);
///
/// A client that is slow, floods the server, breaks the protocol or dies affects its own calls
/// only. An idle client takes a descriptor and its shared memory, and no processor time.
///
/// Thread-safety: the thread of `lp`. With a pool, handlers run on the pool's threads.
/// Lifetime: destruction ends the server at once. The socket goes, handlers are destroyed where
/// they wait (with a pool, destruction waits for its threads), and clients see `errc::peer_closed`.
/// A server that outlives `lp` or the pool has ended with it. When the pool was stopped, the
/// server's destruction joins it.
class server {
public:
  /// The type of a handler: a function that returns a coroutine, which answers one request. It runs
  /// on the loop of the client's connection. Handlers run concurrently: each is started in the
  /// order in which the requests came, and runs until it first waits.
  ///
  /// An exception answers the call: a `call_error` with its code and text, a `std::system_error` of
  /// the system with its number, any other exception with `errc::handler_failed` and its text. No
  /// exception ever ends the server.
  ///
  /// A lambda that is a coroutine may have captures: the server keeps it as long as a call of it
  /// lives.
  using handler_type = detail::request_handler;

  /// Listens under `name` (`sys::service_path`).
  /// Errors: throws as `listener::bind`.
  server(loop& lp, std::string_view name, handler_type handler, server_options options = {});
  /// Listens on `lp`, and distributes the connections over the pool's loops in turn.
  /// Errors: throws as `listener::bind`.
  server(loop& lp, loop_pool& pool, std::string_view name, handler_type handler,
         server_options options = {});
  server(server&&) noexcept;
  server& operator=(server&&) noexcept;
  ~server();

  /// Stops in order. The server takes no further client and no further request
  /// (`errc::refused_stopping`), so clients may turn to a successor, which can bind the name at
  /// once. Requests that are under way may finish, and each client is told goodbye. When `grace` is
  /// over, handlers are asked to stop; those that are still there 100 ms later are destroyed.
  /// Returns true when all of them ended by themselves.
  ///
  /// It returns within the grace and those 100 ms, whatever happened before. It returns false at
  /// once when the pool has stopped: its threads do nothing any more, and the server's destruction
  /// ends what is left. It returns false a little later when a handler blocks a thread of the pool.
  /// Several coroutines may await it, also at the same time; the shortest grace counts. Once it has
  /// begun it needs no memory.
  ///
  /// Errors: throws `std::bad_alloc` from the call itself; nothing has begun then. Throws
  /// `errc::wrong_loop` when it is awaited on another loop than `lp`.
  /// Thread-safety: the thread of `lp`.
  /// Cancellation: ends the grace at once.
  /// Lifetime: a server that is destroyed meanwhile ends the stop, which returns false unless all
  /// handlers had ended. After the stop the server does nothing more.
  task<bool> stop(time_limit grace = std::chrono::seconds(5));

  /// Returns the path of the socket, for messages.
  const std::string& path() const noexcept;
  /// Returns how many clients are connected.
  std::size_t clients() const noexcept;

private:
  std::unique_ptr<detail::server_impl> impl_;
};

}  // namespace ringbell
