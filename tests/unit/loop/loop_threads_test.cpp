// SPDX-License-Identifier: BSL-1.0
// A loop that one thread after another runs, and one that a forked child destroys.
#include <ringbell/coro/timeout.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/server.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/applies.hpp"
#include "support/channel_pair.hpp"
#include "support/child_process.hpp"
#include "support/patience.hpp"
#include "support/poll.hpp"
#include "support/turns.hpp"

TEST_SUITE("loop_threads") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<void> echo_on(channel ch) {
  while (const std::optional<message> m = co_await ch.recv()) co_await ch.send(m->bytes());
}
task<void> round_trip(channel& ch, int& trips) {
  co_await ch.send("hello");
  const std::optional<message> m = co_await ch.recv();
  CHECK(m.has_value());
  if (m) ++trips;
}
task<reply> answer(request r) { co_return reply(r.bytes()); }
task<void> call(client& c, int& calls) {
  const payload p = co_await c.call(1, "hello");
  if (p.text() == "hello") ++calls;
}

/// A loop with all that may wait on it: channels with each kind of bell, a listener, a server with
/// a client.
struct busy_loop {
  explicit busy_loop(loop_options options = {}) : lp(std::make_unique<loop>(options)) {
    lp->run(set_up());
  }
  task<void> set_up() {
    for (const auto kind :
         {sys::bell_kind::eventfd, sys::bell_kind::socket, sys::bell_kind::futex}) {
      if ((sys::system_bells() & sys::bell_bit(kind)) == 0 ||
          (kind == sys::bell_kind::futex && !lp->can_wait_on_futex()))
        continue;
      listener_options of_server;
      connect_options of_client;
      of_client.bells = of_server.bells = sys::bell_bit(kind);
      channel_pair pair = co_await connected(*lp, of_server, of_client);
      lp->spawn(echo_on(std::move(pair.server)));
      channels.push_back(std::move(pair.client));
    }
    listening.emplace(listener::bind(*lp, folder / "listener"));
    serving = std::make_unique<server>(*lp, folder / "service", answer);
    asking.emplace(co_await client::connect(*lp, folder / "service"));
    lp->spawn(sleep_long());
    co_await let_park(*lp);
  }
  static task<void> sleep_long() { co_await sleep_for(1h); }

  /// All of it once. Returns how much was done.
  int work() {
    int done = 0;
    for (channel& ch : channels) lp->run(timeout(patience, round_trip(ch, done)));
    lp->run(timeout(patience, call(*asking, done)));
    lp->run(timeout(patience, sleep_for(1ms)));
    lp->run(timeout(patience, meet()));
    return done;
  }
  int all() const { return static_cast<int>(channels.size()) + 1; }
  task<void> meet() {
    auto ends = co_await when_all(listening->accept(), connect(*lp, folder / "listener"));
    channel near = std::move(std::get<0>(ends));
    channel far = std::move(std::get<1>(ends));
    co_await near.send("x");
    CHECK(co_await far.recv());
  }
  void destroy() {
    channels.clear();
    asking.reset();
    serving.reset();
    listening.reset();
    lp.reset();
  }
  ~busy_loop() { destroy(); }

  temporary_folder folder;
  std::unique_ptr<loop> lp;
  std::vector<channel> channels;
  std::optional<listener> listening;
  std::unique_ptr<server> serving;
  std::optional<client> asking;
};

task<void> sleep_for_a_moment() { co_await sleep_for(1ms); }

void on_a_thread(const std::function<void()>& f) { std::thread(f).join(); }

}  // namespace

TEST_CASE("a loop is run by one thread after another, and what waits on it goes on") {
  busy_loop busy;
  CHECK(busy.work() == busy.all());
  for (std::uint64_t i = 0; i < turns(5); ++i) {
    int done = 0;
    on_a_thread([&] { done = busy.work(); });
    CHECK(done == busy.all());
    CHECK(busy.work() == busy.all());
  }
}

TEST_CASE("a wait that one thread began ends on the next, though the first one has ended") {
  loop lp;
  channel_pair pair = lp.run(connected(lp));
  for (std::uint64_t i = 0; i < turns(20); ++i) {
    int trips = 0;
    std::optional<beside<task<void>>> waiting;
    on_a_thread([&] {
      lp.spawn(echo_on(std::move(pair.server)));
      waiting.emplace(lp, round_trip(pair.client, trips));
      lp.run(settle());
    });
    (void)lp.run(timeout(patience, waiting->get()));
    CHECK(trips == 1);
    waiting.reset();
    pair = lp.run(connected(lp));
  }
}

TEST_CASE("each of two threads closes what the other one has used, and destroys its loop") {
  auto busy = std::make_unique<busy_loop>();
  on_a_thread([&] {
    CHECK(busy->work() == busy->all());
    busy->channels.clear();
  });
  busy->serving.reset();
  on_a_thread([&] { busy.reset(); });
}

TEST_CASE("a foreign loop of one thread after another drives a loop") {
  busy_loop busy;
  const auto drive = [&] {
    int done = 0;
    const auto all = [](busy_loop& b, int& n) -> task<void> {
      for (channel& ch : b.channels) co_await round_trip(ch, n);
      co_await sleep_for(1ms);
      co_await call(*b.asking, n);
    };
    beside working(*busy.lp, all(busy, done));
    busy.lp->run_ready();
    while (!working.ended()) {
      REQUIRE(readable_within(busy.lp->native_handle(), patience));
      busy.lp->run_ready();
    }
    return done;
  };
  for (std::uint64_t i = 0; i < turns(10); ++i) {
    int done = 0;
    on_a_thread([&] { done = drive(); });
    CHECK(done == busy.all());
    CHECK(drive() == busy.all());
  }
  CHECK(busy.work() == busy.all());
}

// -- fork --

TEST_CASE(
    "a forked child destroys its copy of a loop with all that waits on it, and the parent's goes on" *
    needs_fork) {
  busy_loop busy;
  CHECK(busy.work() == busy.all());
  beside received(*busy.lp, busy.channels[0].recv());
  busy.lp->run(let_park(*busy.lp));
  child_process child([&] {
    busy.destroy();
    return 0;
  });
  CHECK(child.wait() == 0);
  CHECK_FALSE(received.ended());
  received.request_stop();
  CHECK(busy.work() == busy.all());
}

TEST_CASE("a forked child that runs its parent's loop gets an error, and the parent's goes on" *
          needs_fork) {
  busy_loop busy;
  child_process child([&] {
    try {
      busy.lp->run(sleep_for_a_moment());
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::operation_not_permitted) return 1;
      busy.destroy();
      loop own;
      own.run(sleep_for_a_moment());
      return 0;
    }
    return 2;
  });
  CHECK(child.wait() == 0);
  CHECK(busy.work() == busy.all());
}

}  // TEST_SUITE("loop_threads")
