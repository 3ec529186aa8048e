// SPDX-License-Identifier: BSL-1.0
// What a client costs a server, and what its calls cost: for each number of clients a server
// process, a process with all clients, and their connecting, memory, round trips and CPU time. The
// designs take turns in short slices, since hosts are noisy: compare what stands in one line.
//
//   old_and_new [--clients 10,100,1000] [--seconds S] [--json]     S for each design and number of clients; 4 unless given
//   old_and_new --check                                            whether the old design works
#include "common/json.hpp"
#include "common/units.hpp"
#include "design.hpp"
#include "many_clients.hpp"
#include "old_design_check.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace ringbell::bench;
using ringbell::tool::format_count;
using ringbell::tool::format_duration;
using ringbell::tool::json;

constexpr std::size_t most_clients = 6000;  // of each design
constexpr double most_seconds = 600;
// Below it the kernel's other users outweigh what a client costs.
constexpr std::size_t least_clients_for_kernel_figures = 100;

// -- figures: each once, for the table and for JSON --

double each(const outcome& o, std::int64_t total) {
  const std::size_t connected = o.clients - o.connect_failures;
  return connected == 0 ? 0 : static_cast<double>(total) / static_cast<double>(connected);
}
double per_call(double seconds, std::uint64_t calls) {
  return calls == 0 ? 0 : seconds * 1e9 / static_cast<double>(calls);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::string count(double v) { return format_count(v); }
std::string kib(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f KiB", v);
  return text;
}
std::string time(double nanoseconds) { return format_duration(nanoseconds); }
std::string whole(double v) { return std::to_string(static_cast<long long>(v)); }

struct outcome_figure {
  const char* key;
  const char* label;
  std::function<double(const outcome&)> of;
  std::string (*format)(double);
  bool of_the_kernel = false;
};

const std::vector<outcome_figure>& figures() {
  static const std::vector<outcome_figure> all = {
      {"connect_ns", "connecting all", [](const outcome& o) { return o.connect_seconds * 1e9; },
       time},
      {"connect_failures", "  failed",
       [](const outcome& o) { return static_cast<double>(o.connect_failures); }, whole},
      {"server_threads", "threads of the server",
       [](const outcome& o) { return static_cast<double>(o.server.connected.threads); }, whole},
      {"server_descriptors", "descriptors of the server, each client",
       [](const outcome& o) {
         return each(o, o.server.connected.descriptors - o.server.before.descriptors);
       },
       count},
      {"client_descriptors", "descriptors of the client, each",
       [](const outcome& o) {
         return each(o, o.client.connected.descriptors - o.client.before.descriptors);
       },
       count},
      {"server_private_kib", "memory of the server alone, each client",
       [](const outcome& o) {
         return each(o, o.server.connected.private_kib - o.server.before.private_kib);
       },
       kib},
      {"server_pss_kib", "  with its share of what both map",
       [](const outcome& o) {
         return each(o, o.server.connected.proportional_kib - o.server.before.proportional_kib);
       },
       kib},
      {"client_pss_kib", "memory of the client, with its share",
       [](const outcome& o) {
         return each(o, o.client.connected.proportional_kib - o.client.before.proportional_kib);
       },
       kib},
      {"server_pss_after_traffic_kib", "server, with its share, after traffic",
       [](const outcome& o) {
         return each(o, o.server.after_traffic.proportional_kib - o.server.before.proportional_kib);
       },
       kib},
      {"client_pss_after_traffic_kib", "client, with its share, after traffic",
       [](const outcome& o) {
         return each(o, o.client.after_traffic.proportional_kib - o.client.before.proportional_kib);
       },
       kib},
      {"server_page_tables_kib", "page tables of the server, each client",
       [](const outcome& o) {
         return each(o, o.server.connected.page_table_kib - o.server.before.page_table_kib);
       },
       kib},
      {"kernel_stacks_kib", "kernel stacks, each client",
       [](const outcome& o) {
         return each(o, o.kernel_connected.stack_kib - o.kernel_before.stack_kib);
       },
       kib, true},
      {"kernel_slab_kib", "kernel objects of both sides, each client",
       [](const outcome& o) {
         return each(o, o.kernel_connected.slab_kib - o.kernel_before.slab_kib);
       },
       kib, true},
      {"alone_p50_ns", "one call at a time: p50",
       [](const outcome& o) { return static_cast<double>(o.alone.p50); }, time},
      {"alone_p99_ns", "  p99", [](const outcome& o) { return static_cast<double>(o.alone.p99); },
       time},
      {"alone_max_ns", "  max", [](const outcome& o) { return static_cast<double>(o.alone.max); },
       time},
      {"alone_server_cpu_ns", "  CPU of the server, each call",
       [](const outcome& o) { return per_call(o.alone.server_cpu, o.alone.calls); }, time},
      {"alone_client_cpu_ns", "  CPU of the client, pauses included",
       [](const outcome& o) { return per_call(o.alone.client_cpu, o.alone.calls); }, time},
      {"calls_per_second", "all call at once: calls a second",
       [](const outcome& o) { return median(o.together.rates); }, count},
      {"server_cpu_ns", "  CPU of the server, each call",
       [](const outcome& o) { return per_call(o.together.server_cpu, o.together.calls.answered); },
       time},
      {"client_cpu_ns", "  CPU of the client, each call",
       [](const outcome& o) { return per_call(o.together.client_cpu, o.together.calls.answered); },
       time},
      {"failed_calls", "calls that failed",
       [](const outcome& o) {
         return static_cast<double>(o.alone.failed + o.together.calls.failed);
       },
       whole},
  };
  return all;
}

bool tells(const outcome_figure& f, const outcome& o) {
  return !f.of_the_kernel || o.clients >= least_clients_for_kernel_figures;
}

void print(std::span<const outcome> outcomes) {
  std::printf("%-42s", (std::to_string(outcomes.front().clients) + " clients").c_str());
  for (const outcome& o : outcomes) std::printf(" %22s", o.design.c_str());
  std::printf("\n");
  for (const outcome_figure& f : figures()) {
    std::printf("%-42s", f.label);
    for (const outcome& o : outcomes)
      std::printf(" %22s", tells(f, o) ? f.format(f.of(o)).c_str() : "-");
    std::printf("\n");
  }
  std::printf("\n");
  std::fflush(stdout);
}

void add(json& to, const outcome& o) {
  to.begin_object().value("design", o.design).value("clients", o.clients);
  for (const outcome_figure& f : figures())
    if (tells(f, o)) to.value(f.key, f.of(o));
  to.value("alone_calls", o.alone.calls).value("calls", o.together.calls.answered);
  to.end_object();
}

// -- options --

constexpr const char* usage =
    "usage: old_and_new [--clients N,N...] [--seconds S] [--json]\n"
    "       old_and_new --check\n"
    "N: 1 to 6000; 10,100,1000 unless given. S: 0.1 to 600 for each design and N; 4 unless given.\n";

struct comparison_options {
  std::vector<std::size_t> clients{10, 100, 1000};
  double seconds = 4;
  bool as_json = false;
  bool check = false;
  bool help = false;
};

template <class T>
std::optional<T> number(std::string_view text, T least, T most) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(value >= least && value <= most))
    return std::nullopt;
  return value;
}

std::optional<std::vector<std::size_t>> numbers(std::string_view text) {
  std::vector<std::size_t> found;
  for (;;) {
    const std::size_t comma = text.find(',');
    const auto one = number<std::size_t>(text.substr(0, comma), 1, most_clients);
    if (!one) return std::nullopt;
    found.push_back(*one);
    if (comma == std::string_view::npos) return found;
    text.remove_prefix(comma + 1);
  }
}

std::optional<comparison_options> parse(std::span<char*> arguments) {
  comparison_options o;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    const bool more = i + 1 < arguments.size();
    if (name == "--json") {
      o.as_json = true;
    } else if (name == "--check") {
      o.check = true;
    } else if (name == "--help" || name == "-h") {
      o.help = true;
    } else if (name == "--clients" && more) {
      const auto given = numbers(arguments[++i]);
      if (!given) return std::nullopt;
      o.clients = *given;
    } else if (name == "--seconds" && more) {
      const auto given = number<double>(arguments[++i], 0.1, most_seconds);
      if (!given) return std::nullopt;
      o.seconds = *given;
    } else {
      return std::nullopt;
    }
  }
  return o;
}

/// As many descriptors as this user may have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// So that an interrupted wait throws, and all is cleaned up.
void let_signals_interrupt() {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

int run(const comparison_options& o) {
  const design designs[] = {thread_per_connection(), service_design()};
  json text;
  text.begin_array();
  if (!o.as_json)
    std::printf(
        "Calls of %zu B. One at a time: on any connection, after a pause of 0.5 ms, the others being idle. At once: each client calls again when it has its reply.\n\n",
        payload_bytes);
  for (const std::size_t clients : o.clients) {
    const std::vector<outcome> outcomes = measure(designs, clients, o.seconds);
    if (!o.as_json) print(outcomes);
    for (const outcome& one : outcomes) add(text, one);
  }
  if (o.as_json) std::printf("%s\n", text.end_array().text().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const auto o = parse(std::span(argv + 1, static_cast<std::size_t>(std::max(argc - 1, 0))));
  if (!o || o->help) {
    std::fputs(usage, o ? stdout : stderr);
    return o ? 0 : 2;
  }
  if (o->check) return check_old_design();
  raise_descriptor_limit();
  let_signals_interrupt();
  return run(*o);
} catch (const std::exception& error) {
  std::fprintf(stderr, "old_and_new: %s\n", error.what());
  return 1;
}
