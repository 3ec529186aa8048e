// SPDX-License-Identifier: BSL-1.0
#include "options.hpp"

#include <ringbell/call_error.hpp>
#include <ringbell/loop_pool.hpp>
#include <ringbell/method.hpp>
#include <ringbell/server.hpp>
#include <ringbell/signals.hpp>
#include <ringbell/sleep.hpp>
#include <ringbell/when_any.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ringbell::tool {

namespace {

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
    options.listening.max_ring_bytes = std::max(options.listening.max_ring_bytes, common.ring_bytes);
    options.max_in_flight = max_in_flight;
    options.idle_timeout = idle_timeout;
    return options;
  }
};

/// What people type ends with a newline.
std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(blanks)));
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

[[noreturn]] void refuse(const std::string& expected, std::string_view got) {
  throw call_error(std::make_error_code(std::errc::invalid_argument),
                   "expected " + expected + "; got '" + std::string(got.substr(0, 100)) + "'");
}

task<reply> echo(request r) {
  while (auto part = co_await r.read()) co_await r.write(part->bytes());
  co_return reply(r.bytes());
}

task<reply> tell_time(request) {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(now));
  const auto fraction = now - std::chrono::floor<std::chrono::seconds>(now);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%09lldZ\n",
                static_cast<long long>(std::chrono::duration_cast<std::chrono::nanoseconds>(fraction).count()));
  co_return reply(text);
}

task<reply> sleep(request r) {
  const std::string_view text = trimmed(r.text());
  const auto duration = parse_duration(text);
  if (!duration) refuse("a time such as 300ms, 1.5s or 20us", text);
  co_await sleep_for(*duration);
  co_return reply();
}

task<reply> count(request r) {
  const std::string_view text = trimmed(r.text());
  std::uint64_t last = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), last);
  if (error != std::errc() || end != text.data() + text.size()) refuse("a number such as 1000", text);
  for (std::uint64_t i = 1; i <= last; ++i) {
    const std::string line = std::to_string(i) + '\n';
    co_await r.write(std::string_view(line));
  }
  co_return reply();
}

task<reply> answer(request r) {
  switch (r.method()) {
    case method_id("echo"): return echo(std::move(r));
    case method_id("time"): return tell_time(std::move(r));
    case method_id("sleep"): return sleep(std::move(r));
    case method_id("count"): return count(std::move(r));
    default: throw std::system_error(errc::no_such_method);
  }
}

/// A client costs a descriptor, and many programs begin with no more than 1024 of them.
void allow_many_descriptors() noexcept {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &files);
}

task<> serve(loop& lp, const serve_options& options) {
  signal_set signals({SIGINT, SIGTERM});
  std::optional<loop_pool> pool;
  if (options.threads != 1) pool.emplace(options.threads, options.common.for_loop());
  std::optional<server> service;
  if (pool)
    service.emplace(lp, *pool, options.name, answer, options.for_server());
  else
    service.emplace(lp, options.name, answer, options.for_server());
  std::printf("ringbell: serve answers echo, time, sleep and count on %s (threads: %zu; loop: %s; spin: %s)\n", service->path().c_str(),
              pool ? pool->size() : std::size_t{1}, std::string(lp.backend_reason()).c_str(), name_of(lp.spinning()).c_str());
  std::fflush(stdout);

  co_await signals.next();
  auto first = co_await when_any(service->stop(options.grace), signals.next());
  if (first.index() == 0 && !first.get<0>())
    complain("calls that had not ended within " + format_duration(options.grace) + " were cut off; --grace gives them more time");
}

int run_serve(const serve_options& options) {
  allow_many_descriptors();
  loop lp(options.common.for_loop());
  lp.run(serve(lp, options));
  return exit_ok;
}

}  // namespace

void add_serve(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "serve", "Answer the calls of any number of clients, until Ctrl-C or SIGTERM: a service for trying things",
      std::string(name_help) +
          " A first line says where it listens.\n\nMethods: 'echo' sends back the request, and each part of a streaming one; 'time' tells the"
          " time; 'sleep' answers after the time in the request, such as 300ms; 'count' streams the numbers from 1 to the one in the request.\n\n"
          "A signal stops it in order: calls under way have the time of --grace to end. A second one ends them at once.");
  auto options = std::make_shared<serve_options>();
  sub->add_option("name", options->name, "Where to listen")->required()->type_name("NAME");
  sub->add_option("--threads", options->threads, "How many threads answer; 0: one for each processor")
      ->check(CLI::Range(0, 1024))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--max-clients", options->max_clients, "How many clients at the same time; further ones are refused")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--max-in-flight", options->max_in_flight, "How many requests of one client at the same time; further ones are refused")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->capture_default_str();
  add_duration_option(*sub, "--idle-timeout", options->idle_timeout, "When a client that asks nothing is disconnected; 0: never")
      ->default_str("30s");
  add_duration_option(*sub, "--grace", options->grace, "How long calls under way may take to end when it stops")->default_str("5s");
  sub->add_flag("--all-users", options->all_users, "Let in other users too, as far as they reach the socket's folder");
  add_common_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_serve(*options); }; });
}

}  // namespace ringbell::tool
