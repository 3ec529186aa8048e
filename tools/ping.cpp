// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"
#include "common/histogram.hpp"
#include "common/json.hpp"
#include "system/calls.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_any.hpp>
#include <ringbell/loop/signals.hpp>
#include <ringbell/service/call_error.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/detail/frame.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringbell::tool {

namespace {

using clock = loop::clock;

// One line for each reply only when a person can follow them.
constexpr std::chrono::milliseconds readable_interval{50};

/// What is known so far: for the summary, however the pinging ends.
struct progress {
  progress() noexcept {}
  bool connected = false;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  clock::time_point waiting_since = clock::time_point::max();  // max: for nothing
  histogram times;
  channel_statistics statistics;
  sys::peer_identity peer;
  std::string bell;
};

/// Each message begins with its number, as far as there is room; the rest is a pattern.
bool same_bytes(const message& got, const std::vector<std::byte>& sent) {
  return got.size() == sent.size() &&
         (sent.empty() || std::memcmp(got.data(), sent.data(), sent.size()) == 0);
}

task<> exchange(const ping_options& options, progress& so_far, channel& ch) {
  std::vector<std::byte> payload(options.size);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::byte>(i);
  const bool lines = !options.as_json && !options.quiet && options.interval >= readable_interval;
  clock::time_point next = clock::now();
  for (std::uint64_t i = 0; options.count == 0 || i < options.count; ++i) {
    if (i != 0 && options.interval.count() != 0) co_await sleep_until(next);
    next += options.interval;
    std::copy_n(reinterpret_cast<const std::byte*>(&i), std::min(sizeof i, payload.size()),
                payload.begin());
    const clock::time_point sent = clock::now();
    so_far.waiting_since = sent;
    ++so_far.sent;
    co_await ch.send(payload);
    auto reply = co_await ch.recv();
    const auto took = clock::now() - sent;
    so_far.waiting_since = clock::time_point::max();
    so_far.statistics = ch.statistics();
    if (!reply)
      throw std::system_error(errc::peer_closed,
                              "'" + options.name + "' ended the stream instead of replying");
    if (!same_bytes(*reply, payload))
      throw std::system_error(
          errc::bad_peer,
          "'" + options.name +
              "' sent back other bytes: it is no echo server (see 'ringbell echo')");
    ++so_far.received;
    so_far.times.add(static_cast<std::uint64_t>(took.count()));
    if (!lines) continue;
    std::printf("%llu bytes from process %lld: seq=%llu time=%s\n",
                static_cast<unsigned long long>(reply->size()),
                static_cast<long long>(so_far.peer.process), static_cast<unsigned long long>(i),
                format_duration(took).c_str());
    std::fflush(stdout);
  }
}

task<> ping(loop& lp, const ping_options& options, progress& so_far) {
  connect_options how = options.common.for_connect();
  how.timeout = options.timeout;
  channel ch = co_await connect(lp, options.name, how);
  so_far.connected = true;
  so_far.peer = ch.peer();
  so_far.bell = sys::name_of(ch.woken_by());
  co_await exchange(options, so_far, ch);
}

/// Ends the pinging when one reply takes too long. Costs the exchange nothing but the note of when
/// it began to wait.
task<> watch_for_silence(const ping_options& options, const progress& so_far) {
  for (;;) {
    const clock::time_point now = clock::now();
    if (so_far.waiting_since != clock::time_point::max() &&
        now - so_far.waiting_since >= options.timeout)
      throw std::system_error(errc::timed_out, "no reply to message " +
                                                   std::to_string(so_far.sent - 1) + " within " +
                                                   format_duration(options.timeout));
    const clock::time_point since = std::min(so_far.waiting_since, now);
    co_await sleep_until(since + options.timeout);
  }
}

double per_message(std::uint64_t n, std::uint64_t messages) {
  return messages == 0 ? 0 : static_cast<double>(n) / static_cast<double>(messages);
}

void print_json(const loop& lp, const ping_options& options, const progress& p) {
  json out;
  out.begin_object()
      .value("name", options.name)
      .value("size", options.size)
      .value("sent", p.sent)
      .value("received", p.received);
  out.value("p50_ns", p.times.quantile(0.5))
      .value("p99_ns", p.times.quantile(0.99))
      .value("p999_ns", p.times.quantile(0.999));
  out.value("max_ns", p.times.max());
  out.value("bells_per_message", per_message(p.statistics.bells_rung, p.sent));
  out.value("parks_per_message", per_message(p.statistics.parks, p.sent));
  out.value("loop", lp.backend_name()).value("spin", name_of(lp.spinning())).value("bell", p.bell);
  out.end_object();
  std::printf("%s\n", out.text().c_str());
}

void print_summary(const loop& lp, const ping_options& options, const progress& p) {
  std::printf("-- %s: %llu sent, %llu received, %llu bytes each; loop %s, spin %s, woken by %s\n",
              options.name.c_str(), static_cast<unsigned long long>(p.sent),
              static_cast<unsigned long long>(p.received),
              static_cast<unsigned long long>(options.size), std::string(lp.backend_name()).c_str(),
              name_of(lp.spinning()).c_str(), p.bell.c_str());
  if (p.received == 0) return;
  std::printf(
      "round trip p50 %s, p99 %s, p99.9 %s, max %s; per message: %.3g bells rung, %.3g parks\n",
      format_duration(static_cast<double>(p.times.quantile(0.5))).c_str(),
      format_duration(static_cast<double>(p.times.quantile(0.99))).c_str(),
      format_duration(static_cast<double>(p.times.quantile(0.999))).c_str(),
      format_duration(static_cast<double>(p.times.max())).c_str(),
      per_message(p.statistics.bells_rung, p.sent), per_message(p.statistics.parks, p.sent));
}

task<> call_once(loop& lp, const ping_options& options) {
  client_options how;
  how.connection.timeout = options.timeout;
  task<client> connecting = client::connect(lp, options.name, how);
  const client there = co_await std::move(connecting);
  call_options limit;
  limit.timeout = options.timeout;
  co_await there.call(service_frame::method_statistics, std::string_view(), limit);
}

/// Whether what does not answer as an echo server does is a service: only such a one answers a
/// call, be it with an error.
bool is_service(const ping_options& options) {
  try {
    loop lp(options.common.for_loop());
    lp.run(call_once(lp, options));
    return true;
  } catch (const call_error& answer) {
    return answer.code() != errc::timed_out;
  } catch (const std::system_error&) {
    return false;
  }
}

/// The number of the signal that ended it, or 0.
task<int> ping_until_signal(loop& lp, const ping_options& options, progress& so_far) {
  auto first = co_await when_any(ping(lp, options, so_far), watch_for_silence(options, so_far),
                                 signalled(signal_set(stopping_signals())));
  co_return first.index() == 2 ? first.get<2>() : 0;
}

}  // namespace

int run_ping(const ping_options& options) {
  loop lp(options.common.for_loop());
  progress so_far;
  int code = exit_ok;
  std::optional<std::system_error> failure;
  try {
    const int signal = lp.run(ping_until_signal(lp, options, so_far));
    if (signal != 0 && so_far.received == 0) code = exit_signal + signal;
  } catch (const std::system_error& error) {
    failure = error;
  }
  if (so_far.connected)
    options.as_json ? print_json(lp, options, so_far) : print_summary(lp, options, so_far);
  std::fflush(stdout);
  if (!failure) return code;
  const std::error_code why = failure->code();
  if (so_far.connected && so_far.received == 0 &&
      (why == errc::peer_closed || why == errc::bad_peer || why == errc::timed_out) &&
      is_service(options)) {
    complain("'" + options.name +
             "' is a service (a ringbell::server), no echo server; 'ringbell call " + options.name +
             " METHOD' asks it, and 'ringbell echo' is what to ping");
    return exit_peer_died;
  }
  return complain(*failure);
}

}  // namespace ringbell::tool
