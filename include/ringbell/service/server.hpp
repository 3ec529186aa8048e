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
class server_core;
using request_handler = std::function<task<reply>(request)>;
}  // namespace detail

/// A service: binds a name, and answers the calls of any number of `client`s, on one thread or on
/// those of a `loop_pool`.
///
///     ringbell::task<ringbell::reply> answer(ringbell::request r) {
///       if (r.method() == ringbell::method_id("echo")) co_return ringbell::reply(r.bytes());
///       throw std::system_error(ringbell::errc::no_such_method);
///     }
///     ringbell::server echo(lp, "echo", answer);
///
/// A client that is slow, floods, lies or dies harms its own calls only. An idle one costs a
/// descriptor, its shared memory, and no time at all.
///
/// Thread-safety: the thread of `lp`; with a pool, handlers run on the pool's threads. Lifetime: a
/// server that outlives `lp` or the pool has ended with it; when the pool was stopped, the server's
/// destruction joins it.
/// Destruction ends it at once: the socket goes, handlers are destroyed where they wait (with a
/// pool this waits for its threads), clients see `errc::peer_closed`.
class server {
public:
  /// What a server answers a request with: a coroutine. It runs on the loop of the client's
  /// connection; requests run side by side, each up to where its handler first waits, in the order in
  /// which they came. An exception answers the call: `call_error` with its code and text,
  /// `std::system_error` of the system's with its number, anything else as `errc::handler_failed`
  /// with what it says. No exception ever ends the server.
  ///
  /// A lambda that is a coroutine may capture: the server keeps it for as long as a call of it lives.
  using handler_type = detail::request_handler;

  /// Listens under `name` (`sys::service_path`). Throws as `listener::bind`.
  server(loop& lp, std::string_view name, handler_type handler, server_options options = {});
  /// Listens on `lp`, and spreads the connections over the pool's loops, in turn.
  server(loop& lp, loop_pool& pool, std::string_view name, handler_type handler,
         server_options options = {});
  server(server&&) noexcept;
  server& operator=(server&&) noexcept;
  ~server();

  /// Stops in order: takes no further client and no further request (`errc::refused_stopping`, so
  /// that clients may turn to a successor, which can bind the name at once), lets those under way
  /// finish, and says goodbye to each client. When `grace` is over, handlers are asked to stop, and
  /// those still there 100 ms later are destroyed. True when all ended by themselves.
  ///
  /// It returns within the grace and those 100 ms, whatever happened before: false at once when the
  /// pool has stopped (its threads do nothing any more; the server's destruction ends what is
  /// left), false a little later when a handler keeps a thread of the pool to itself. It may be
  /// awaited several times, at the same time too: the shortest grace counts. Once it has begun it
  /// needs no memory.
  /// Errors: `std::bad_alloc` from the call itself; nothing has begun then. Cancellation: ends the
  /// grace at once. Thread-safety: may be awaited on `lp` only.
  /// Lifetime: a server that is destroyed meanwhile ends it, with false unless all had ended.
  /// Afterwards the server is as good as destroyed.
  task<bool> stop(time_limit grace = std::chrono::seconds(5));

  /// The socket's path, for messages.
  const std::string& path() const noexcept;
  /// Clients that are connected.
  std::size_t clients() const noexcept;

private:
  std::unique_ptr<detail::server_core> core_;
};

}  // namespace ringbell
