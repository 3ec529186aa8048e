// SPDX-License-Identifier: BSL-1.0
// Measures designs with many clients: the part of old_and_new without options and tables.
#pragma once

#include "design.hpp"
#include "process_figures.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ringbell::bench {

struct process_cost {
  process_figures before;         ///< it runs, and has no connection
  process_figures connected;      ///< every client has connected and called once
  process_figures after_traffic;  ///< at the end
};

/// Times in nanoseconds, of one call after another, each on some connection and after a pause,
/// while no other client calls.
struct lone_calls {
  std::uint64_t calls = 0;
  std::uint64_t failed = 0;
  std::uint64_t p50 = 0;
  std::uint64_t p99 = 0;
  std::uint64_t max = 0;
  double server_cpu = 0;  ///< seconds, as below
  double client_cpu = 0;
};

/// All clients call at once, and again and again.
struct concurrent_calls {
  call_count calls;
  std::vector<double> rates;  ///< of the slices: replies a second
  double server_cpu = 0;
  double client_cpu = 0;
};

struct outcome {
  std::string design;
  std::size_t clients = 0;  ///< asked for
  std::size_t connect_failures = 0;
  double connect_seconds = 0;
  process_cost server;
  process_cost client;
  kernel_figures kernel_before;
  kernel_figures kernel_connected;
  lone_calls alone;
  concurrent_calls together;
};

/// Measures all designs with `clients` connections each, for `seconds` each, after connecting; they
/// take turns. Only while this process has one thread. Throws when a process dies or does not
/// answer; nothing is left behind then either.
std::vector<outcome> measure(std::span<const design> designs, std::size_t clients, double seconds);

}  // namespace ringbell::bench
