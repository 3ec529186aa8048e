// SPDX-License-Identifier: BSL-1.0
#include "cases.hpp"

#include "common/units.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace ringbell::bench {

namespace {

using sizes = std::vector<std::uint64_t>;
using names = std::vector<std::string>;

const names peers = {"asio-socket", "zeromq",       "nng-pair",       "nng-req",
                     "boost-mq",    "iceoryx-poll", "iceoryx-waitset"};

names with_peers(names first) {
  first.insert(first.end(), peers.begin(), peers.end());
  return first;
}

struct pace {
  std::int64_t gap;
  std::string_view id;
  std::string_view title;
};
constexpr pace hot{0, "hot", "hot"};
constexpr pace paces[] = {{10'000, "10us", "each 10 us"},
                          {100'000, "100us", "each 100 us"},
                          {1'000'000, "1ms", "each 1 ms"},
                          {100'000'000, "100ms", "each 100 ms"}};

bench_case ping_pong(const pace& p, placement where, std::uint64_t size, names contenders) {
  bench_case c;
  c.scenario = "ping-pong";
  c.id = "ping-pong/" + std::string(where == placement::two ? "two/" : "one/") + std::string(p.id) +
         '/' + std::to_string(size);
  c.title = "round trips, " + tool::format_bytes(static_cast<double>(size)) + ", " +
            std::string(p.title) +
            (where == placement::two ? ", a processor each" : ", both on one processor");
  c.where = where;
  c.size = size;
  c.gap = p.gap;
  c.contenders = std::move(contenders);
  return c;
}

names hot_contenders(placement where) {
  if (where == placement::two)
    return with_peers({"cache-line", "bare-ring", "native/io_uring/always", "native/epoll/always",
                       "native/io_uring/adaptive", "asio/always", "asio/adaptive",
                       "asio/adaptive/tokens", "asio/adaptive/stream", "asio/adaptive/driven",
                       "futex", "eventfd", "pipe"});
  return with_peers({"eventfd", "futex", "pipe", "native/io_uring/adaptive", "native/io_uring/none",
                     "native/epoll/none", "asio/adaptive", "asio/none"});
}

names paced_contenders(const pace& p) {
  names all = {"eventfd",
               "futex",
               "native/io_uring/always",
               "native/io_uring/adaptive",
               "native/io_uring/none",
               "native/epoll/adaptive",
               "native/epoll/none",
               "asio/always",
               "asio/adaptive",
               "asio/none"};
  // Nobody who sleeps can keep this pace, so what comes back while it spins is the reference.
  if (p.gap < 50'000) all.insert(all.begin(), "bare-ring");
  return with_peers(std::move(all));
}

bench_case one_way(placement where, std::uint64_t size, names contenders) {
  bench_case c;
  c.scenario = "one-way";
  c.id = "one-way/" + std::string(where == placement::two ? "two/" : "one/") + std::to_string(size);
  c.title = "one way, " + tool::format_bytes(static_cast<double>(size)) +
            (where == placement::two ? ", a processor each" : ", both on one processor");
  c.kind = traffic::one_way;
  c.where = where;
  c.size = size;
  c.contenders = std::move(contenders);
  return c;
}

names one_way_contenders(placement where) {
  const names peers_one_way = {"asio-socket", "zeromq",       "nng-pair",
                               "boost-mq",    "iceoryx-poll", "iceoryx-waitset"};
  names all = {"pipe",
               "native/io_uring/adaptive",
               "native/io_uring/adaptive/batched",
               "native/io_uring/adaptive/zero-copy",
               "native/epoll/adaptive",
               "asio/adaptive"};
  const names spinning = {"bare-ring",
                          "bare-ring/batched",
                          "memcpy",
                          "native/io_uring/always",
                          "native/io_uring/always/batched",
                          "native/io_uring/always/zero-copy"};
  if (where == placement::two) all.insert(all.begin(), spinning.begin(), spinning.end());
  all.insert(all.end(), peers_one_way.begin(), peers_one_way.end());
  return all;
}

/// Calls, beside round trips on a channel.
bench_case calls(std::uint64_t size) {
  bench_case c = ping_pong(hot, placement::two, size,
                           {"native/io_uring/always", "service/always/1", "service/always/32"});
  c.scenario = "service";
  c.id = "service/two/hot/" + std::to_string(size);
  c.title = "calls of a service beside round trips on a channel: " + c.title;
  return c;
}

/// Requests to an HTTP server: the same program over a stream and over a socket.
std::vector<bench_case> cases_of_http() {
  std::vector<bench_case> all;
  for (const pace& p : {hot, paces[2]}) {
    bench_case c = ping_pong(
        p, placement::two, 64,
        {"http/ringbell/always", "http/ringbell/adaptive", "http/ringbell/none", "http/socket"});
    c.scenario = "http";
    c.id = "http/two/" + std::string(p.id) + "/64";
    c.title = "requests by HTTP: " + c.title;
    all.push_back(std::move(c));
  }
  return all;
}

/// Many channels, and connections that come and go.
std::vector<bench_case> cases_of_crowds(const case_choice& choice) {
  bench_case fan_in;
  fan_in.scenario = "fan-in";
  fan_in.id = "fan-in/two/64";
  fan_in.title = "one way, 64 B, from many channels on one loop, Zipf's activity, a processor each";
  fan_in.kind = traffic::one_way;
  std::vector<bench_case> all;
  for (const std::string front_end : {"io_uring", "epoll", "asio"}) {
    for (const char* clients : {"1", "10", "100", "1000"})
      fan_in.contenders.push_back("fan-in/" + front_end + '/' + clients);
    // A case for each: all of them together would need more descriptors than a process gets.
    bench_case idle = ping_pong(paces[2], placement::two, 64, {});
    idle.scenario = "idle";
    idle.id = "idle/two/1ms/64/" + front_end;
    idle.title = "one of many channels, the others idle: " + idle.title;
    for (const char* others : {"0", "100", "1000"})
      idle.contenders.push_back("idle/" + front_end + '/' + others);
    if (!choice.quick) idle.contenders.push_back("idle/" + front_end + "/10000");
    all.push_back(std::move(idle));
  }
  all.push_back(std::move(fan_in));
  for (const placement where : {placement::two, placement::one}) {
    bench_case cycle;
    cycle.scenario = "connect";
    cycle.id = where == placement::two ? "connect/two" : "connect/one";
    cycle.title = std::string("connect, 64 B there and back, close") +
                  (where == placement::two ? ", a processor each" : ", both on one processor");
    cycle.where = where;
    cycle.contenders = {
        "connect/socket", "connect/io_uring",           "connect/io_uring/socket-bells",
        "connect/epoll",  "connect/epoll/socket-bells", "connect/asio"};
    all.push_back(cycle);
  }
  return all;
}

}  // namespace

bool is_peer(std::string_view id) noexcept {
  return std::find(peers.begin(), peers.end(), id) != peers.end();
}

std::vector<bench_case> all_cases(const case_choice& choice) {
  const auto chosen = [&choice](const sizes& usual, const sizes& quick) {
    return !choice.sizes.empty() ? choice.sizes : choice.quick ? quick : usual;
  };
  std::vector<bench_case> all;
  for (const placement where : {placement::two, placement::one}) {
    for (const std::uint64_t size :
         chosen({8, 32, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20}, {64, 64 << 10}))
      all.push_back(ping_pong(hot, where, size, hot_contenders(where)));
    for (const pace& p : paces)
      for (const std::uint64_t size : chosen({8, 64, 1 << 10, 64 << 10, 1 << 20}, {64}))
        all.push_back(ping_pong(p, where, size, paced_contenders(p)));
  }
  for (const std::uint64_t size : chosen({64, 1 << 10}, {64})) all.push_back(calls(size));
  const auto of_http = cases_of_http();
  all.insert(all.end(), of_http.begin(), of_http.end());
  for (const placement where : {placement::two, placement::one})
    for (const std::uint64_t size :
         chosen({8, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20}, {64, 1 << 20}))
      all.push_back(one_way(where, size, one_way_contenders(where)));
  const auto some = cases_of_crowds(choice);
  all.insert(all.end(), some.begin(), some.end());
  return all;
}

}  // namespace ringbell::bench
