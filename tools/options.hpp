// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "exit_codes.hpp"
#include "units.hpp"

#include <ringbell/handshake.hpp>
#include <ringbell/listener.hpp>
#include <ringbell/loop.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace ringbell::tool {

/// What a subcommand hands to main once its options have been read: runs it, and gives the exit code.
using action = std::function<int()>;

// Each adds one subcommand, which sets the action when it was chosen.
void add_demo(CLI::App& app, action& chosen);
void add_pipe(CLI::App& app, action& chosen);
void add_echo(CLI::App& app, action& chosen);
void add_ping(CLI::App& app, action& chosen);
void add_serve(CLI::App& app, action& chosen);
void add_call(CLI::App& app, action& chosen);
void add_top(CLI::App& app, action& chosen);
void add_bench(CLI::App& app, action& chosen);
void add_doctor(CLI::App& app, action& chosen);

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
    if (spin == "adaptive") options.spin = spin_policy::adaptive;
    if (spin == "none") options.spin = spin_policy::none;
    if (spin == "always") options.spin = spin_policy::always;
    return options;
  }
  /// Both rings of each connection get the size, and larger ones than usual are accepted when it is larger.
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

inline CLI::Option* add_size_option(CLI::App& app, const std::string& name, std::uint64_t& to, std::uint64_t low, std::uint64_t high,
                                    const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&to, name, low, high](const std::string& text) {
            const auto bytes = parse_bytes(text);
            if (!bytes || *bytes < low || *bytes > high)
              throw CLI::ValidationError(name, "expected a number of bytes from " + format_bytes(static_cast<double>(low)) + " to " +
                                                   format_bytes(static_cast<double>(high)) + ", such as 4096, 64KiB or 1M; got '" + text +
                                                   "'");
            to = *bytes;
          },
          help)
      ->type_name("SIZE");
}

inline CLI::Option* add_duration_option(CLI::App& app, const std::string& name, std::chrono::nanoseconds& to, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&to, name](const std::string& text) {
            const auto duration = parse_duration(text);
            if (!duration) throw CLI::ValidationError(name, "expected a time such as 300ms, 1.5s or 20us; got '" + text + "'");
            to = *duration;
          },
          help)
      ->type_name("TIME");
}

inline void add_common_options(CLI::App& app, common_options& options, const std::string& usual_ring) {
  app.add_option("--loop", options.loop, "What to sleep in; auto: $RINGBELL_LOOP, else io_uring where it works, else epoll")
      ->check(CLI::IsMember({"auto", "io_uring", "epoll"}))
      ->capture_default_str();
  app.add_option("--spin", options.spin, "Whether to poll before sleeping; auto: $RINGBELL_SPIN, else adaptive")
      ->check(CLI::IsMember({"auto", "adaptive", "none", "always"}))
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--ring-bytes",
         [&options](const std::string& text) {
           const auto bytes = parse_bytes(text);
           if (!bytes || !handshake::valid_ring_size(*bytes))
             throw CLI::ValidationError("--ring-bytes",
                                        "expected a power of two from 4 KiB to 1 GiB, such as 65536, 64KiB or 1M; got '" + text + "'");
           options.ring_bytes = *bytes;
         },
         "Size of the ring in each direction, a power of two from 4KiB to 1GiB (usually " + usual_ring + ")")
      ->type_name("SIZE");
}

/// A subcommand whose --help ends with the exit codes.
inline CLI::App* add_subcommand(CLI::App& app, const std::string& name, const std::string& description, const std::string& notes = {}) {
  CLI::App* const sub = app.add_subcommand(name, description);
  sub->footer(notes.empty() ? std::string(exit_codes_help) : notes + "\n\n" + exit_codes_help);
  return sub;
}

inline constexpr const char* name_help =
    "NAME is a service name (1 to 64 of letters, digits, '.', '_', '-'), which lives in the user's own folder, or the path of a socket"
    " when it contains a slash.";

}  // namespace ringbell::tool
