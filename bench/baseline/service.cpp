// SPDX-License-Identifier: BSL-1.0
#include "design.hpp"

#include <ringbell/coro/scope.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/server.hpp>

#include <array>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ringbell::bench {

namespace {

constexpr std::uint32_t echo_method = method_id("echo");

task<reply> echo(request r) { co_return reply(r.bytes()); }

/// As many clients as the other design has connections, each with its own; all on one loop.
class service_clients final : public client_side {
public:
  explicit service_clients(std::string path) : path_(std::move(path)) {}

  std::size_t connect_all(std::size_t n) override {
    connections_.resize(n);
    loop_.run(connect_each());
    std::erase_if(connections_, [](const connection& c) { return !c.to; });
    return n - connections_.size();
  }
  std::size_t connections() const override { return connections_.size(); }
  bool one_call(std::size_t i) override {
    bool answered = false;
    loop_.run(call(connections_[i], answered));
    return answered;
  }
  call_count everybody_calls(time_point until) override {
    call_count calls;
    loop_.run(call_all(until, calls));
    return calls;
  }

private:
  struct connection {
    client to;
    std::uint64_t number = 0;
  };

  task<void> connect(connection& c) {
    client_options options;
    options.connection.timeout = std::chrono::seconds(10);
    try {
      task<client> connecting = client::connect(loop_, path_, options);
      c.to = co_await std::move(connecting);
    } catch (const std::exception&) {}
  }
  task<void> connect_each() {
    scope all(loop_);
    for (connection& c : connections_) all.spawn(connect(c));
    co_await all.join();
  }
  static task<void> call(connection& c, bool& answered) {
    std::array<std::byte, payload_bytes> request{};
    ++c.number;
    std::memcpy(request.data(), &c.number, sizeof c.number);
    try {
      const payload p = co_await c.to.call(echo_method, std::span<const std::byte>(request));
      answered = p.size() == payload_bytes &&
                 std::memcmp(p.bytes().data(), &c.number, sizeof c.number) == 0;
    } catch (const std::exception&) {
      answered = false;
    }
  }
  static task<void> keep_calling(connection& c, time_point until, call_count& calls) {
    do {
      bool answered = false;
      task<void> one = call(c, answered);
      co_await std::move(one);
      ++(answered ? calls.answered : calls.failed);
    } while (std::chrono::steady_clock::now() < until);
  }
  task<void> call_all(time_point until, call_count& calls) {
    scope all(loop_);
    for (connection& c : connections_) all.spawn(keep_calling(c, until, calls));
    co_await all.join();
  }

  std::string path_;
  loop loop_;
  std::vector<connection> connections_;
};

void serve(const std::string& path, const std::function<void()>& ready) {
  loop lp;
  const server s(lp, path, echo);
  ready();
  lp.run();
}

}  // namespace

design service_design() {
  return {"service", serve,
          [](const std::string& path) { return std::make_unique<service_clients>(path); }};
}

}  // namespace ringbell::bench
