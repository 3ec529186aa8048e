// SPDX-License-Identifier: BSL-1.0
// A service and its client, each on a loop of its own: a message there and back is a call.
#include "blocking_link.hpp"
#include "contenders.hpp"

#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/server.hpp>

#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringbell::bench {

namespace {

constexpr std::uint32_t echo_method = method_id("echo");

class service_link final : public link {
public:
  /// `together`: how many calls are under way at a time.
  service_link(loop_options loop, std::uint64_t together, const link_options& options)
      : loop_options_(loop), together_(together), path_(options.path) {}

  void listen() override {
    loop_ = std::make_unique<loop>(loop_options_);
    server_.emplace(*loop_, path_, [this](request r) { return echo(std::move(r)); });
  }
  // Until the first call, which the client makes when it has connected.
  void accept() override { answer_calls(1); }
  void connect() override {
    loop_ = std::make_unique<loop>(loop_options_);
    client_ = loop_->run(client::connect(*loop_, path_));
    payload bytes(acknowledgement);
    loop_->run(call(bytes));
  }

  void ping(const slice& s, times& t) override {
    payload bytes(s.size);
    with_stopwatch(s, t, [&](auto& watch) { loop_->run(ping_with(s, bytes, watch)); });
  }
  void answer(const slice& s) override { answer_calls(s.all()); }
  void send(const slice&, times&) override { throw std::logic_error("calls go both ways"); }
  void receive(const slice&) override { throw std::logic_error("calls go both ways"); }

private:
  // A reply is published within the turn in which its handler ends, and the loop stops at the end
  // of the next one.
  void answer_calls(std::uint64_t n) {
    left_ = n;
    loop_->run();
  }
  task<reply> echo(request r) {
    if (--left_ == 0) loop_->post([this] { loop_->stop(); });
    co_return reply(r.bytes());
  }

  task<> call(payload& bytes) {
    const ringbell::payload got =
        co_await client_.call(echo_method, std::span<const std::byte>(bytes.out));
    if (got.size() != bytes.in.size())
      throw std::runtime_error("another size came back than was sent");
    std::memcpy(bytes.in.data(), got.bytes().data(), bytes.in.size());
  }
  template <class Watch>
  task<> ping_with(const slice& s, payload& bytes, Watch& watch) {
    for (std::uint64_t i = 0; i < s.lead_in; ++i) {
      bytes.number(i);
      watch.pace();
      co_await call(bytes);
      bytes.check();
    }
    watch.start();
    if (together_ == 1) {
      for (std::uint64_t i = 0; i < s.messages; ++i) {
        watch.pace();
        co_await call(bytes);
        watch.lap();
      }
    } else {
      std::uint64_t left = s.messages;
      scope callers(*loop_);
      for (std::uint64_t i = 0; i < together_; ++i)
        callers.spawn(keep_calling(left, s.size, watch));
      co_await callers.join();
    }
    watch.stop();
  }
  template <class Watch>
  task<> keep_calling(std::uint64_t& left, std::uint64_t size, Watch& watch) {
    payload bytes(size);
    while (left != 0) {
      --left;
      co_await call(bytes);
      watch.lap();
    }
  }

  loop_options loop_options_;
  std::uint64_t together_;
  std::string path_;
  std::uint64_t left_ = 0;
  std::unique_ptr<loop> loop_;
  std::optional<server> server_;
  client client_;
};

}  // namespace

std::vector<contender> service_contenders() {
  std::vector<contender> all;
  for (const std::uint64_t together : {std::uint64_t{1}, std::uint64_t{32}}) {
    contender c;
    c.id = "service/always/" + std::to_string(together);
    c.title = together == 1
                  ? "calls of a service, always"
                  : "calls of a service, " + std::to_string(together) + " at a time, always";
    c.what = contender::role::ringbell;
    c.spins = true;
    loop_options options;
    options.spin = spin_policy::always;
    c.make = [options, together](const link_options& wanted) {
      return std::make_unique<service_link>(options, together, wanted);
    };
    all.push_back(std::move(c));
  }
  return all;
}

}  // namespace ringbell::bench
