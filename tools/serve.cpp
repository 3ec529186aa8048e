// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"
#include "system/calls.hpp"

#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_any.hpp>
#include <ringbell/loop/loop_pool.hpp>
#include <ringbell/loop/signals.hpp>
#include <ringbell/service/call_error.hpp>
#include <ringbell/service/method.hpp>
#include <ringbell/service/server.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
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
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(now));
  const auto fraction = now - std::chrono::floor<std::chrono::seconds>(now);
  const std::tm parts = calendar_time(seconds);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%09lldZ\n",
                static_cast<long long>(
                    std::chrono::duration_cast<std::chrono::nanoseconds>(fraction).count()));
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
  if (error != std::errc() || end != text.data() + text.size())
    refuse("a number such as 1000", text);
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

task<> serve(loop& lp, const serve_options& options) {
  signal_set signals(stopping_signals());
  std::optional<loop_pool> pool;
  if (options.threads != 1) pool.emplace(options.threads, options.common.for_loop());
  server_options how = options.for_server();
  if (const auto socket = passed_socket()) how.listening.socket = *socket;
  std::optional<server> service;
  if (pool)
    service.emplace(lp, *pool, options.name, answer, how);
  else
    service.emplace(lp, options.name, answer, how);
  print_line("ringbell: serve answers echo, time, sleep and count on " + service->path() +
             " (threads: " + std::to_string(pool ? pool->size() : std::size_t{1}) + "; loop: " +
             std::string(lp.backend_reason()) + "; spin: " + name_of(lp.spinning()) + ")");

  tell_service_manager("READY=1");
  co_await signals.next();
  tell_service_manager("STOPPING=1");
  auto first = co_await when_any(service->stop(options.grace), signals.next());
  if (first.index() == 0 && !first.get<0>())
    complain("calls that had not ended within " + format_duration(options.grace) +
             " were cut off; --grace gives them more time");
}

}  // namespace

int run_serve(const serve_options& options) {
  allow_many_descriptors();
  loop lp(options.common.for_loop());
  lp.run(serve(lp, options));
  return exit_ok;
}

}  // namespace ringbell::tool
