// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio.hpp>

#include <chrono>
#include <exception>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

#include "support/process.hpp"

#ifdef RINGBELL_BOOST_ASIO
#include <boost/asio/experimental/awaitable_operators.hpp>
#else
#include <asio/experimental/awaitable_operators.hpp>
#if RINGBELL_ASIO_VERSION < 102400
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/deferred.hpp>
#endif
#endif

namespace ringbell::test {

// Where the versions of Asio keep them.
#if RINGBELL_ASIO_VERSION >= 102400
using net::as_tuple;
using net::deferred;
#else
using net::experimental::as_tuple;
using net::experimental::deferred;
#endif
using net::experimental::awaitable_operators::operator||;
using net::experimental::awaitable_operators::operator&&;

/// Throws what ended a coroutine, out of io_context::run().
inline constexpr auto rethrow = [](std::exception_ptr e) {
  if (e) std::rethrow_exception(e);
};

/// Both ends of a connection.
struct asio_pair {
  asio_pair(asio_channel s, asio_channel c) noexcept : server(std::move(s)), client(std::move(c)) {}
  asio_channel server;
  asio_channel client;
};

/// Connects two ends on one context, which it runs meanwhile.
inline asio_pair connected(net::io_context& context, listener_options of_server = {},
                           const connect_options& of_client = {}) {
  const temporary_folder folder;
  asio_listener listener(context, folder / "pair", std::move(of_server));
  net_error_code failed;
  asio_channel server(context);
  asio_channel client(context);
  listener.async_accept([&](net_error_code error, asio_channel ch) {
    if (error) failed = error;
    server = std::move(ch);
  });
  async_connect(context, folder / "pair", of_client, [&](net_error_code error, asio_channel ch) {
    if (error) failed = error;
    client = std::move(ch);
  });
  context.run();
  context.restart();
  if (failed) throw net_system_error(failed, "connecting a pair");
  return asio_pair(std::move(server), std::move(client));
}

/// Runs a context until `holds()`; false when it does not for too long, or when nothing is left to
/// be run.
template <class F>
bool run_until(net::io_context& context, F holds) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  context.restart();
  while (!holds())
    if (context.run_one_until(deadline) == 0) return holds();
  return true;
}

/// An error as ringbell's own, whichever Asio it comes from: to be compared with `errc`.
inline std::error_code std_error(const net_error_code& error) { return error; }

}  // namespace ringbell::test
