// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "support/asio.hpp"
#include "support/pair.hpp"
#include "support/variable.hpp"

namespace ringbell::test {

/// What one of two processes does with its end: on a native loop, or on an Asio context, which then runs until nothing is left to be done.
struct side {
  std::function<task<void>(loop&, channel)> native;
  std::function<net::awaitable<void>(asio_channel)> asio;
};
/// `f(loop&, channel, arguments...)`
template <class F, class... Arguments>
side native_side(F f, Arguments... arguments) {
  side s;
  s.native = [f, arguments...](loop& lp, channel ch) { return f(lp, std::move(ch), arguments...); };
  return s;
}
/// `f(asio_channel, arguments...)`
template <class F, class... Arguments>
side asio_side(F f, Arguments... arguments) {
  side s;
  s.asio = [f, arguments...](asio_channel ch) { return f(std::move(ch), arguments...); };
  return s;
}

namespace asio_peers_detail {

inline net::awaitable<void> serve_one(std::string path, const pair_options& options, const side& s) {
  asio_listener l(co_await net::this_coro::executor, path, pair_detail::server_options(options));
  asio_channel ch = co_await l.async_accept(net::use_awaitable);
  co_await s.asio(std::move(ch));
}

inline net::awaitable<void> be_client(std::string path, const pair_options& options, const side& s) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  asio_channel ch = co_await async_connect(executor, path, pair_detail::client_options(options), net::use_awaitable);
  co_await s.asio(std::move(ch));
}

inline task<void> serve_one(loop& lp, std::string path, const pair_options& options, const side& s) {
  listener l = listener::bind(lp, path, pair_detail::server_options(options));
  channel ch = co_await l.accept();
  co_await s.native(lp, std::move(ch));
}

inline task<void> be_client(loop& lp, std::string path, const pair_options& options, const side& s) {
  channel ch = co_await connect(lp, path, pair_detail::client_options(options));
  co_await s.native(lp, std::move(ch));
}

inline int run(const std::string& path, const pair_options& options, const side& s, bool server) {
  if (options.one_cpu) stay_on_one_cpu();
  // By the environment, as a user would, for both front ends alike.
  if (options.spin != spin_policy::automatic)
    set_variable("RINGBELL_SPIN", options.spin == spin_policy::none ? "none" : options.spin == spin_policy::always ? "always" : "adaptive");
  if (s.native) {
    loop lp;
    lp.run(server ? serve_one(lp, path, options, s) : be_client(lp, path, options, s));
  } else {
    net::io_context context;
    net::co_spawn(context, server ? serve_one(path, options, s) : be_client(path, options, s), rethrow);
    context.run();
  }
  return 0;
}

}  // namespace asio_peers_detail

/// Runs a server and its one client in processes of their own. `options.spin` is what they find in RINGBELL_SPIN.
inline both run_peers(const side& server, const side& client, const pair_options& options = {}) {
  const temporary_folder folder;
  const std::string path = folder / "peers";
  child_process s([&] { return asio_peers_detail::run(path, options, server, true); });
  child_process c([&] { return asio_peers_detail::run(path, options, client, false); });
  const int client_status = c.wait(options.patience);
  const int server_status = s.wait(client_status == 0 ? options.patience : std::chrono::seconds(1));
  return {server_status, client_status};
}

}  // namespace ringbell::test
