// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/loop/loop.hpp>

#include "support/child_process.hpp"

#include <ostream>
#include <string>
#include <utility>

namespace ringbell::test {

/// How two processes are connected.
struct pair_options {
  pair_options() noexcept {}
  std::uint64_t client_ring = 64 << 10;
  std::uint64_t server_ring = 64 << 10;
  std::uint64_t client_max_message = std::uint64_t{64} << 20;
  std::uint64_t server_max_message = std::uint64_t{64} << 20;
  sys::bell_set bells = detail::default_bells;
  spin_policy spin = spin_policy::automatic;
  bool one_cpu = false;
  std::chrono::seconds longest = 5 * patience;  ///< for all that they do
};

/// What one of the two does with its end.
using role = task<void> (*)(loop&, channel);

namespace pair_detail {

inline listener_options server_options(const pair_options& options) {
  listener_options o;
  o.default_ring_bytes = options.server_ring;
  o.max_message = options.server_max_message;
  o.bells = options.bells;
  return o;
}

inline connect_options client_options(const pair_options& options) {
  connect_options o;
  o.ring_bytes = options.client_ring;
  o.max_message = options.client_max_message;
  o.bells = options.bells;
  o.timeout = patience;
  return o;
}

inline task<void> serve_one(loop& lp, std::string path, const pair_options& options, role r) {
  listener l = listener::bind(lp, path, server_options(options));
  channel ch = co_await l.accept();
  co_await r(lp, std::move(ch));
}

inline task<void> be_client(loop& lp, std::string path, const pair_options& options, role r) {
  channel ch = co_await connect(lp, path, client_options(options));
  co_await r(lp, std::move(ch));
}

using side = task<void> (*)(loop&, std::string, const pair_options&, role);

template <side Side>
int run_on_a_loop(const std::string& path, const pair_options& options, role r) {
  if (options.one_cpu) stay_on_one_cpu();
  loop_options o;
  o.spin = options.spin;
  loop lp(o);
  lp.run(Side(lp, path, options, r));
  return 0;
}

}  // namespace pair_detail

/// How the two processes ended: their exit statuses.
struct both {
  int server = 0;
  int client = 0;
  friend bool operator==(const both&, const both&) = default;
  friend std::ostream& operator<<(std::ostream& to, const both& b) {
    return to << "server: " << b.server << ", client: " << b.client;
  }
};
inline constexpr both both_well{};

/// Runs a server and its one client in processes of their own.
inline both run_pair(role server, role client, const pair_options& options = {}) {
  const temporary_folder folder;
  const std::string path = folder / "pair";
  child_process s(&pair_detail::run_on_a_loop<pair_detail::serve_one>, path, options, server);
  child_process c(&pair_detail::run_on_a_loop<pair_detail::be_client>, path, options, client);
  const int client_status = c.wait(options.longest);
  const int server_status = s.wait(client_status == 0 ? options.longest : std::chrono::seconds(1));
  return {server_status, client_status};
}

}  // namespace ringbell::test
