// SPDX-License-Identifier: BSL-1.0
// A server that runs out of memory, at each of its allocations in turn: a client gets its reply, or
// an error, or sees the connection end. It never waits for nothing.
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <future>
#include <limits>
#include <new>
#include <string>
#include <thread>

#include "support/allocations.hpp"
#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("service_memory") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t ask = 1;    // echoes
constexpr std::uint32_t parts = 2;  // echoes each part
constexpr std::uint32_t refuse = 3;

task<reply> serve(request r) {
  if (r.method() == refuse) throw call_error(7, "as asked");
  if (r.method() == ask) co_return reply(r.bytes());
  while (const auto part = co_await r.read()) co_await r.write(part->bytes());
  co_return reply();
}

/// A server in a thread of its own.
class served_elsewhere {
public:
  served_elsewhere() {
    std::promise<void> listening;
    auto ready = listening.get_future();
    thread_ = std::thread([&] {
      loop lp;
      lp_ = &lp;
      ringbell::server s(lp, path(), serve);
      listening.set_value();
      lp.run();
      allocations_left = unlimited;
    });
    ready.get();
  }
  ~served_elsewhere() {
    lp_->stop();
    thread_.join();
  }
  std::string path() const { return folder_ / "service"; }
  /// From the next thing on that it does.
  void allow(int allocations) {
    std::promise<void> done;
    lp_->post([&] {
      allocations_left = allocations;
      done.set_value();
    });
    done.get_future().get();
  }
  /// Whether it has run out since `allow`.
  bool ran_out() {
    std::promise<bool> answer;
    lp_->post([&] {
      const bool out = std::exchange(allocations_left, unlimited) <= 0;
      answer.set_value(out);
    });
    return answer.get_future().get();
  }

private:
  temporary_folder folder_;
  loop* lp_ = nullptr;
  std::thread thread_;
};

/// Calls `one` while the server has memory for 0, 1, 2... allocations, until it needs no more.
/// Gives how often it lacked some.
template <class F>
task<int> with_ever_more_memory(loop& lp, served_elsewhere& server, F one) {
  client_options options;
  options.reconnect = reconnect_policy::with_backoff;
  options.first_pause = 0ns;
  client c = co_await client::connect(lp, server.path(), options);
  int lacked = 0;
  for (;; ++lacked) {
    CAPTURE(lacked);
    REQUIRE(lacked < 1000);
    server.allow(lacked);
    const auto ended = co_await as_result(timeout(patience, one(c)));
    const bool out = server.ran_out();
    CHECK(ended.error() != errc::timed_out);
    if (!out) CHECK(ended.has_value());
    // Of a connection that was lost just now it may still be hearing.
    std::error_code then;
    for (int attempt = 0; attempt < 3; ++attempt) {
      const auto alive = co_await as_result(timeout(patience, c.call(ask, "alive")));
      then = alive ? std::error_code() : alive.error();
      if (!then) break;
    }
    CHECK_FALSE(then);
    if (!out) co_return lacked;
  }
}

}  // namespace

TEST_CASE(
    "a call ends when its server runs out of memory, whatever for, and the next one is served") {
  loop lp;
  served_elsewhere server;
  const auto call = [](std::uint32_t method, std::size_t size) {
    return [method, text = std::string(size, 'x')](client& c) -> task<void> {
      const payload p = co_await c.call(method, text);
      if (p.text() != text) throw std::system_error(errc::bad_peer);
    };
  };
  CHECK(lp.run(with_ever_more_memory(lp, server, call(ask, 10))) > 0);
  // Longer than the ring: in fragments, and from memory.
  CHECK(lp.run(with_ever_more_memory(lp, server, call(ask, 300'000))) > 0);
}

TEST_CASE("so does one whose handler fails") {
  loop lp;
  served_elsewhere server;
  const auto fail = [](client& c) -> task<void> {
    const auto failed = co_await as_result(c.call(refuse));
    if (failed) throw std::system_error(errc::bad_peer);
    if (failed.error().value() != 7) throw std::system_error(failed.error());
  };
  CHECK(lp.run(with_ever_more_memory(lp, server, fail)) > 0);
}

TEST_CASE("so do those that stream, many at once on one connection") {
  loop lp;
  served_elsewhere server;
  const auto stream = [](client& c) -> task<void> {
    const auto one = [](client& on) -> task<void> {
      const std::string part(40'000, 'p');
      call_stream s = on.open(parts);
      for (int i = 0; i < 4; ++i) {
        co_await s.write(part);
        const auto back = co_await s.read();
        if (!back || back->size() != part.size()) throw std::system_error(errc::bad_peer);
      }
      s.finish();
      while (co_await s.read()) {}
    };
    std::vector<task<void>> all;
    for (int i = 0; i < 3; ++i) all.push_back(one(c));
    co_await when_all(std::move(all));
  };
  CHECK(lp.run(with_ever_more_memory(lp, server, stream)) > 0);
}

TEST_CASE("a stop ends in its grace when memory is gone, be it at its beginning or later") {
  for (const bool stubborn : {false, true}) {
    for (int allowed = 0; allowed < 30; ++allowed) {
      CAPTURE(stubborn);
      CAPTURE(allowed);
      const temporary_folder folder;
      const std::string path = folder / "service";
      std::promise<void> listening;
      std::promise<void> begun;
      std::promise<void> stop_now;
      std::promise<bool> stopped;
      auto has_stopped = stopped.get_future();
      std::thread elsewhere([&] {
        loop lp;
        lp.run([](loop& on, const std::string& name, auto& is_listening, auto& has_begun,
                  auto& to_stop, auto& outcome, bool deaf, int memory) -> task<void> {
          detail::one_shot_event never_set;
          ringbell::server s(on, name, [&](request) -> task<reply> {
            has_begun.set_value();
            if (deaf) co_await detail::adopt_stop_token(inplace_stop_token());
            co_await never_set.wait();
            co_return reply();
          });
          is_listening.set_value();
          auto ready = to_stop.get_future();
          while (ready.wait_for(0s) != std::future_status::ready) co_await sleep_for(100us);
          task<bool> stopping = s.stop(1ms);
          allocations_left = memory;
          const bool by_themselves = co_await std::move(stopping);
          allocations_left = unlimited;
          outcome.set_value(by_themselves);
        }(lp, path, listening, begun, stop_now, stopped, stubborn, allowed));
      });
      listening.get_future().get();
      loop lp;
      lp.run([](loop& on, std::string name, auto& has_begun, auto& to_stop) -> task<void> {
        client c = co_await client::connect(on, std::move(name));
        beside calling(on, c.call(1));
        auto ready = has_begun.get_future();
        while (ready.wait_for(0s) != std::future_status::ready) co_await sleep_for(100us);
        to_stop.set_value();
        const auto got = co_await timeout(patience, calling.get());
        CHECK((got.error() == errc::peer_closed || got.error() == errc::refused_stopping));
      }(lp, path, begun, stop_now));
      REQUIRE(has_stopped.wait_for(patience) == std::future_status::ready);
      CHECK_FALSE(has_stopped.get());
      elsewhere.join();
    }
  }
}

}  // TEST_SUITE("service_memory")
