// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "common/units.hpp"
#include "exit_codes.hpp"
#include "proxy/address.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/service/server_options.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// The subcommands: what each is told, and its function, which gives the exit code. Here nothing is
/// parsed: what includes CLI11 takes long to compile.
namespace ringbell::tool {

/// Options that several subcommands share.
struct common_options {
  common_options() noexcept {}
  std::string loop = "auto";
  std::string spin = "auto";
  std::uint64_t ring_bytes = 0;  ///< 0: not given

  loop_options for_loop() const {
    loop_options options;
    if (loop == "io_uring") options.backend = loop_backend::io_uring;
    if (loop == "epoll") options.backend = loop_backend::epoll;
    if (loop == "kqueue") options.backend = loop_backend::kqueue;
    if (loop == "iocp") options.backend = loop_backend::iocp;
    if (spin == "adaptive") options.spin = spin_policy::adaptive;
    if (spin == "none") options.spin = spin_policy::none;
    if (spin == "always") options.spin = spin_policy::always;
    return options;
  }
  /// Both rings of each connection get the size, and larger ones than usual are accepted when it is
  /// larger.
  listener_options for_listener() const {
    listener_options options;
    if (ring_bytes) options.default_ring_bytes = ring_bytes;
    options.max_ring_bytes = std::max(options.max_ring_bytes, ring_bytes);
    return options;
  }
  connect_options for_connect() const {
    connect_options options;
    if (ring_bytes) options.ring_bytes = options.peer_ring_bytes = ring_bytes;
    return options;
  }
};

inline std::string name_of(spin_policy policy) {
  switch (policy) {
    case spin_policy::none: return "none";
    case spin_policy::always: return "always";
    default: return "adaptive";
  }
}

struct demo_options {
  demo_options() noexcept {}
  bool quick = false;
  bool as_json = false;
  common_options common;
};

struct pipe_options {
  pipe_options() noexcept {}
  std::string listen;
  std::string connect;
  std::chrono::nanoseconds timeout = std::chrono::seconds(5);
  common_options common;
};

struct echo_options {
  echo_options() noexcept {}
  std::string name;
  common_options common;
};

struct ping_options {
  ping_options() noexcept {}
  std::string name;
  std::uint64_t size = 64;
  std::uint64_t count = 10;
  std::chrono::nanoseconds interval = std::chrono::milliseconds(100);
  std::chrono::nanoseconds timeout = std::chrono::seconds(5);
  bool quiet = false;
  bool as_json = false;
  common_options common;
};

struct serve_options {
  serve_options() noexcept {}
  std::string name;
  std::size_t threads = 1;
  std::size_t max_clients = server_options().listening.max_clients;
  std::size_t max_in_flight = server_options().max_in_flight;
  std::chrono::nanoseconds idle_timeout = server_options().idle_timeout;
  std::chrono::nanoseconds grace = std::chrono::seconds(5);
  bool all_users = false;
  common_options common;

  server_options for_server() const {
    server_options options;
    options.listening.max_clients = max_clients;
    options.listening.for_all_users = all_users;
    if (common.ring_bytes) options.listening.default_ring_bytes = common.ring_bytes;
    options.listening.max_ring_bytes =
        std::max(options.listening.max_ring_bytes, common.ring_bytes);
    options.max_in_flight = max_in_flight;
    options.idle_timeout = idle_timeout;
    return options;
  }
};

struct proxy_options {
  proxy_options() noexcept {}
  proxy_address listen;
  proxy_address to;
  std::size_t max_connections = 1024;
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds(5);
  std::chrono::nanoseconds idle_timeout{0};  ///< 0: none
  std::chrono::nanoseconds grace = std::chrono::seconds(5);
  bool all_users = false;
  bool verbose = false;
  common_options common;
};

struct call_command {
  call_command() noexcept {}
  std::string name;
  std::string method_text;
  std::uint32_t method = 0;
  std::chrono::nanoseconds timeout{0};
  bool stream = false;
  std::string metadata;
  std::optional<std::string> data;  ///< the request, instead of standard input
  common_options common;
};

struct top_options {
  top_options() noexcept {}
  std::string name;
  std::chrono::nanoseconds interval = std::chrono::seconds(1);
  std::chrono::nanoseconds timeout = std::chrono::seconds(5);
  bool once = false;
  bool as_json = false;
  common_options common;
};

int run_demo(const demo_options& options);
int run_pipe(const pipe_options& options);
int run_echo(const echo_options& options);
int run_ping(const ping_options& options);
int run_serve(const serve_options& options);
int run_proxy(const proxy_options& options);
int run_call(const call_command& command);
int run_top(const top_options& options);
/// Becomes the program ringbell-bench; returns only if that fails.
int run_bench(const std::vector<std::string>& arguments);
int run_doctor(bool as_json);

}  // namespace ringbell::tool
