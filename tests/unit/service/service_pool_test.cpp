// SPDX-License-Identifier: BSL-1.0
// A server on the threads of a loop_pool.
#include <ringbell/coro/timeout.hpp>
#include <ringbell/loop/loop_pool.hpp>
#include <ringbell/service/statistics.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("service_pool") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

/// A server on a pool of two threads, and clients on the test's own loop.
struct pooled {
  explicit pooled(loop& on, server::handler_type handler, server_options options = {})
      : lp(on),
        pool(2),
        s(std::make_unique<ringbell::server>(on, pool, folder / "service", std::move(handler),
                                             std::move(options))) {}
  task<client> connected() { return client::connect(lp, folder / "service"); }
  temporary_folder folder;
  loop& lp;
  loop_pool pool;
  std::unique_ptr<ringbell::server> s;
};

}  // namespace

TEST_CASE(
    "connections are spread over the threads, and each handler runs on that of its connection") {
  on_a_loop([](loop& lp) -> task<void> {
    std::mutex mutex;
    std::set<std::thread::id> threads;
    pooled p(lp, [&](request r) -> task<reply> {
      const auto before = std::this_thread::get_id();
      co_await sleep_for(1ms);
      CHECK(before == std::this_thread::get_id());
      const std::lock_guard lock(mutex);
      threads.insert(before);
      co_return reply(r.bytes());
    });
    std::vector<client> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(co_await p.connected());
    for (client& c : clients) {
      const payload got = co_await timeout(patience, c.call(1, "x"));
      CHECK(got.text() == "x");
    }
    CHECK(threads.size() == 2);
    CHECK_FALSE(threads.contains(std::this_thread::get_id()));
    CHECK(p.s->clients() == 4);
    clients.clear();
    CHECK(co_await holds_soon([&] { return p.s->clients() == 0; }));
  });
}

TEST_CASE("statistics are gathered from all threads") {
  on_a_loop([](loop& lp) -> task<void> {
    pooled p(lp, [](request r) -> task<reply> { co_return reply(r.bytes()); });
    std::vector<client> clients;
    for (int i = 0; i < 5; ++i) {
      clients.push_back(co_await p.connected());
      for (int n = 0; n <= i; ++n) (void)co_await clients.back().call(1, "x");
    }
    const payload all =
        co_await timeout(patience, clients.front().call(service_frame::method_statistics));
    REQUIRE(all.size() == 5 * sizeof(client_statistics));
    std::multiset<std::uint64_t> requests;
    std::multiset<std::uint64_t> asking;
    for (std::size_t i = 0; i < 5; ++i) {
      client_statistics row;
      std::memcpy(&row, all.bytes().data() + i * sizeof row, sizeof row);
      requests.insert(row.requests);
      if (row.asking != 0) asking.insert(row.requests);
    }
    CHECK(requests ==
          std::multiset<std::uint64_t>{2, 2, 3, 4, 5});  // the first has also asked for this
    CHECK(asking == std::multiset<std::uint64_t>{2});
  });
}

TEST_CASE("stop() ends requests on all threads in order") {
  on_a_loop([](loop& lp) -> task<void> {
    std::atomic<int> waiting{0};
    pooled p(lp, [&](request r) -> task<reply> {
      ++waiting;
      co_await sleep_for(20ms);
      co_return reply(r.bytes());
    });
    std::vector<client> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(co_await p.connected());
    beside a(lp, clients[0].call(1, "a"));
    beside b(lp, clients[1].call(1, "b"));
    CHECK(co_await holds_soon([&] { return waiting == 2; }));
    task<bool> stopping = p.s->stop(patience);
    CHECK(co_await timeout(patience, std::move(stopping)));
    CHECK((co_await a.get()).has_value());
    CHECK((co_await b.get()).has_value());
    const auto refused = co_await as_result(clients[2].call(1));
    CHECK(refused.error() == errc::refused_stopping);
    CHECK(p.s->clients() == 0);
  });
}

TEST_CASE("when the grace is over handlers on all threads are ended") {
  on_a_loop([](loop& lp) -> task<void> {
    std::atomic<int> begun{0};
    std::atomic<int> stopped{0};
    pooled p(lp, [&](request) -> task<reply> {
      ++begun;
      const auto slept = co_await as_result(sleep_for(1h));
      if (!slept) ++stopped;
      co_return reply();
    });
    client a = co_await p.connected();
    client b = co_await p.connected();
    beside first(lp, a.call(1));
    beside second(lp, b.call(1));
    CHECK(co_await holds_soon([&] { return begun == 2; }));
    task<bool> stopping = p.s->stop(5ms);
    CHECK_FALSE(co_await timeout(patience, std::move(stopping)));
    CHECK(stopped == 2);
    const auto got = co_await timeout(patience, first.get());
    CHECK(got.error() == errc::refused_stopping);
  });
}

TEST_CASE("a server is destroyed while clients call, connect and ask for its statistics") {
  for (int round = 0; round < 20; ++round) {
    on_a_loop([&](loop& lp) -> task<void> {
      pooled p(lp, [](request r) -> task<reply> {
        if (r.method() == 2) co_await sleep_for(1h);
        co_return reply(r.bytes());
      });
      scope load(lp);
      const auto call_on = [&](client c, std::uint32_t method) -> task<void> {
        for (;;) {
          const auto got = co_await as_result(c.call(method));
          if (!got) {
            CHECK(got.error() == errc::peer_closed);
            co_return;
          }
        }
      };
      for (int i = 0; i < 2; ++i) {
        client c = co_await p.connected();
        for (const std::uint32_t method : {1U, 2U, service_frame::method_statistics})
          load.spawn(call_on(c, method));
      }
      beside late(lp, p.connected());
      for (int i = 0; i < round; ++i) co_await yield();
      p.s.reset();
      co_await timeout(patience, load.join());
    });
  }
}

TEST_CASE("a server whose pool has stopped can be destroyed") {
  on_a_loop([](loop& lp) -> task<void> {
    std::atomic<bool> begun{false};
    pooled p(lp, [&](request) -> task<reply> {
      begun = true;
      co_await sleep_for(1h);
      co_return reply();
    });
    client c = co_await p.connected();
    beside calling(lp, c.call(1));
    CHECK(co_await holds_soon([&] { return begun.load(); }));
    p.pool.stop();
    p.s.reset();
    const auto got = co_await timeout(patience, calling.get());
    CHECK(got.error() == errc::peer_closed);
  });
}

TEST_CASE("stop() returns when the pool has stopped, before it or meanwhile") {
  for (const bool before : {true, false}) {
    on_a_loop([&](loop& lp) -> task<void> {
      std::atomic<bool> begun{false};
      pooled p(lp, [&](request) -> task<reply> {
        begun = true;
        co_await sleep_for(1h);
        co_return reply();
      });
      client c = co_await p.connected();
      beside calling(lp, c.call(1));
      CHECK(co_await holds_soon([&] { return begun.load(); }));
      if (before) p.pool.stop();
      beside stopping(lp, p.s->stop(1h));
      co_await settle();
      p.pool.stop();
      const auto stopped = co_await timeout(patience, stopping.get());
      REQUIRE(stopped.has_value());
      CHECK_FALSE(*stopped);
      p.s.reset();
      CHECK((co_await timeout(patience, calling.get())).error() == errc::peer_closed);
    });
  }
}

TEST_CASE("stop() returns though a handler keeps its thread for itself") {
  on_a_loop([](loop& lp) -> task<void> {
    std::atomic<bool> begun{false};
    std::atomic<bool> go{false};
    pooled p(lp, [&](request) -> task<reply> {
      begun = true;
      go.wait(false);
      co_return reply();
    });
    client c = co_await p.connected();
    beside calling(lp, c.call(1));
    CHECK(co_await holds_soon([&] { return begun.load(); }));
    task<bool> stopping = p.s->stop(1ms);
    CHECK_FALSE(co_await timeout(patience, std::move(stopping)));
    go = true;
    go.notify_all();
    (void)co_await timeout(patience, calling.get());
  });
}

TEST_CASE("stop() may be asked for twice at a time, and again after its end") {
  on_a_loop([](loop& lp) -> task<void> {
    std::atomic<int> begun{0};
    pooled p(lp, [&](request) -> task<reply> {
      ++begun;
      co_await sleep_for(1h);
      co_return reply();
    });
    client c = co_await p.connected();
    client d = co_await p.connected();
    beside calling(lp, c.call(1));
    beside calling_too(lp, d.call(1));
    CHECK(co_await holds_soon([&] { return begun == 2; }));
    beside first(lp, p.s->stop(1h));
    co_await settle();
    task<bool> second = p.s->stop(1ms);
    CHECK_FALSE(co_await timeout(patience, std::move(second)));
    const auto stopped = co_await timeout(patience, first.get());
    REQUIRE(stopped.has_value());
    CHECK_FALSE(*stopped);
    task<bool> third = p.s->stop(1h);
    CHECK(co_await timeout(patience, std::move(third)));
  });
}

}  // TEST_SUITE("service_pool")
