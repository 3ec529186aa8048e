// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "support/asio.hpp"
#include "support/pair.hpp"
#include "support/variable.hpp"

namespace ringbell::test {

namespace asio_peers_detail {

using native_end = std::function<task<void>(loop&, channel)>;
using asio_end = std::function<net::awaitable<void>(asio_channel)>;

inline net::awaitable<void> serve_one(std::string path, const pair_options& options,
                                      const asio_end& end) {
  asio_listener l(co_await net::this_coro::executor, path, pair_detail::server_options(options));
  asio_channel ch = co_await l.async_accept(net::use_awaitable);
  co_await end(std::move(ch));
}

inline net::awaitable<void> be_client(std::string path, const pair_options& options,
                                      const asio_end& end) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  asio_channel ch = co_await async_connect(executor, path, pair_detail::client_options(options),
                                           net::use_awaitable);
  co_await end(std::move(ch));
}

inline task<void> serve_one(loop& lp, std::string path, const pair_options& options,
                            const native_end& end) {
  listener l = listener::bind(lp, path, pair_detail::server_options(options));
  channel ch = co_await l.accept();
  co_await end(lp, std::move(ch));
}

inline task<void> be_client(loop& lp, std::string path, const pair_options& options,
                            const native_end& end) {
  channel ch = co_await connect(lp, path, pair_detail::client_options(options));
  co_await end(lp, std::move(ch));
}

inline void prepare(const pair_options& options) {
  if (options.one_cpu) stay_on_one_cpu();
  // By the environment, as a user would, for both front ends alike.
  if (options.spin != spin_policy::automatic)
    set_variable("RINGBELL_SPIN", options.spin == spin_policy::none     ? "none"
                                  : options.spin == spin_policy::always ? "always"
                                                                        : "adaptive");
}

template <class... Arguments>
int run_natively(const std::string& path, const pair_options& options, bool server,
                 task<void> (*f)(loop&, channel, Arguments...), Arguments... arguments) {
  prepare(options);
  const native_end end = [&](loop& lp, channel ch) { return f(lp, std::move(ch), arguments...); };
  loop lp;
  lp.run(server ? serve_one(lp, path, options, end) : be_client(lp, path, options, end));
  return 0;
}

template <class... Arguments>
int run_on_asio(const std::string& path, const pair_options& options, bool server,
                net::awaitable<void> (*f)(asio_channel, Arguments...), Arguments... arguments) {
  prepare(options);
  const asio_end end = [&](asio_channel ch) { return f(std::move(ch), arguments...); };
  net::io_context context;
  net::co_spawn(context, server ? serve_one(path, options, end) : be_client(path, options, end),
                rethrow);
  context.run();
  return 0;
}

}  // namespace asio_peers_detail

/// Starts a process that connects as a server or as a client, and does with its end what it is to
/// do.
using side = std::function<std::unique_ptr<child_process>(const std::string& path,
                                                          const pair_options&, bool server)>;

/// `f(loop&, channel, arguments...)` on a native loop. Arguments are plain values.
template <class... Arguments>
side native_side(task<void> (*f)(loop&, channel, Arguments...),
                 std::type_identity_t<Arguments>... arguments) {
  return [=](const std::string& path, const pair_options& options, bool server) {
    return std::make_unique<child_process>(&asio_peers_detail::run_natively<Arguments...>, path,
                                           options, server, f, arguments...);
  };
}
/// `f(asio_channel, arguments...)` on an Asio context, which then runs until nothing is left to be
/// done. Arguments are plain values.
template <class... Arguments>
side asio_side(net::awaitable<void> (*f)(asio_channel, Arguments...),
               std::type_identity_t<Arguments>... arguments) {
  return [=](const std::string& path, const pair_options& options, bool server) {
    return std::make_unique<child_process>(&asio_peers_detail::run_on_asio<Arguments...>, path,
                                           options, server, f, arguments...);
  };
}

/// Runs a server and its one client in processes of their own. `options.spin` is what they find in
/// RINGBELL_SPIN.
inline both run_peers(const side& server, const side& client, const pair_options& options = {}) {
  const temporary_folder folder;
  const std::string path = folder / "peers";
  const auto s = server(path, options, true);
  const auto c = client(path, options, false);
  const int client_status = c->wait(options.longest);
  const int server_status = s->wait(client_status == 0 ? options.longest : std::chrono::seconds(1));
  return {server_status, client_status};
}

}  // namespace ringbell::test
