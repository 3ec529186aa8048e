// SPDX-License-Identifier: BSL-1.0
// Loops in threads of their own: how they run and end, and one listener that spreads its clients
// over them.
#include <ringbell/channel/detail/handshake_listener.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/loop/loop_pool.hpp>
#include <ringbell/sys/cpu.hpp>

#include <doctest/doctest.h>

#include <array>
#include <condition_variable>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <vector>

#include "support/applies.hpp"
#include "support/channel_pair.hpp"
#include "support/no_descriptors_left.hpp"
#include "support/patience.hpp"
#include "support/process.hpp"

TEST_SUITE("loop_pool") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

/// Calls `f` on the loop's thread, and gives what it returned or throws what it threw.
template <class F>
auto on_loop(loop& lp, F f) {
  // The posted function owns it, in case that it runs, or is destroyed, later than anybody waits.
  auto call = std::make_shared<std::packaged_task<decltype(f())()>>(std::move(f));
  auto result = call->get_future();
  lp.post([call] { (*call)(); });
  if (result.wait_for(patience) != std::future_status::ready)
    throw std::runtime_error("the loop did not run what was posted");
  return result.get();
}

/// Counts what happens in several threads.
class tally {
public:
  void add() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool reaches(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return count_ >= count; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

/// Calls a function when it is destroyed.
class at_end {
public:
  explicit at_end(std::function<void()> f) : f_(std::move(f)) {}
  at_end(const at_end&) = delete;
  at_end& operator=(const at_end&) = delete;
  ~at_end() { f_(); }

private:
  std::function<void()> f_;
};

task<void> never_ends(std::shared_ptr<at_end> held) {
  (void)held;
  co_await sleep_for(1h);
}

}  // namespace

// -- threads --

TEST_CASE("each loop of a pool runs in a thread of its own") {
  loop_pool pool(3);
  REQUIRE(pool.size() == 3);
  std::set<std::thread::id> threads{std::this_thread::get_id()};
  for (std::size_t i = 0; i < pool.size(); ++i) {
    CHECK(&pool.loop_at(i) == &pool[i]);
    CHECK(on_loop(pool[i], [] { return loop::current(); }) == &pool[i]);
    CHECK(threads.insert(on_loop(pool[i], [] { return std::this_thread::get_id(); })).second);
  }
  CHECK_THROWS_AS(pool.loop_at(3), std::out_of_range);
}

TEST_CASE("a pool of no stated size has a loop for each usable processor") {
  CHECK(loop_pool().size() == sys::usable_cpus());
}

TEST_CASE(
    "all loops of a pool have the back end and the spinning that was asked for, or that the first one chose" *
    needs_linux_loops) {
  const loop first;
  const loop_pool chosen(3);
  for (std::size_t i = 0; i < chosen.size(); ++i)
    CHECK(chosen[i].backend_name() == first.backend_name());
  loop_options options;
  options.backend = loop_backend::epoll;
  options.spin = spin_policy::none;
  const loop_pool pool(2, options);
  for (std::size_t i = 0; i < pool.size(); ++i) {
    CHECK(pool[i].backend_name() == "epoll");
    CHECK(pool[i].spinning() == spin_policy::none);
  }
}

TEST_CASE("a pool that cannot be made for lack of descriptors throws, and leaves nothing behind" *
          needs_scarce_handles) {
  const int before = open_descriptors();
  for (std::size_t spare = 0; spare < 8; ++spare) {
    CAPTURE(spare);
    {
      const no_descriptors_left scarce(spare);
      CHECK_THROWS_AS(loop_pool(4), std::system_error);
    }
    CHECK(open_descriptors() <= before + handles_of_the_system);
  }
}

// -- the end --

TEST_CASE("a pool that was never used ends, and leaves nothing behind") {
  const int before = open_descriptors();
  for (int i = 0; i < 20; ++i) {
    const loop_pool pool(2);
    CHECK(pool.size() == 2);
  }
  CHECK(open_descriptors() <= before + handles_of_the_system);
}

TEST_CASE("stop ends all runs, from any thread and as often as one likes") {
  loop_pool pool(3);
  pool[1].post([&] { pool.stop(); });
  pool.join();
  pool.stop();
  pool.join();
}

TEST_CASE("tasks of one loop go on when another one has been stopped") {
  loop_pool pool(2);
  on_loop(pool[0], [&] { pool[0].stop(); });
  CHECK(on_loop(pool[1], [] { return true; }));
}

TEST_CASE(
    "frames and posted functions that are left are destroyed with the pool, by its destroyer, while all loops exist") {
  const auto here = std::this_thread::get_id();
  tally destroyed;
  {
    loop_pool pool(3);
    const auto report = [&pool, &destroyed, here] {
      CHECK(std::this_thread::get_id() == here);
      // Neither runs any more; both are destroyed as well.
      for (std::size_t i = 0; i < pool.size(); ++i)
        pool[i].post([held = std::make_shared<at_end>([&destroyed] { destroyed.add(); })] {
          FAIL_CHECK("ran");
        });
    };
    for (std::size_t i = 0; i < pool.size(); ++i) {
      on_loop(pool[i], [&, i] {
        pool[i].spawn(never_ends(std::make_shared<at_end>(report)));
        pool[i].stop();
      });
      pool[i].post([held = std::make_shared<at_end>(report)] { FAIL_CHECK("ran"); });
    }
    pool.join();
  }
  CHECK(destroyed.reaches(2 * 3 * 3));
}

// -- one listener, many loops --

namespace {

/// Accepts on the first loop of a pool, and serves its clients on all in turn: an echo to each,
/// until it says "bye" or ends.
class spreading_server {
public:
  spreading_server(std::size_t loops, std::string path, listener_options options) : pool(loops) {
    on_loop(pool[0], [&] {
      impl_ = detail::handshake_listener::bind(pool[0], path, std::move(options));
      impl_->on_ready([this] { take_all(); });
    });
  }
  ~spreading_server() {
    pool.stop();
    pool.join();
    impl_.reset();
  }
  std::size_t clients() {
    return on_loop(pool[0], [this] { return impl_->clients(); });
  }
  /// How many clients loop `i` has got.
  std::size_t served_by(std::size_t i) {
    return on_loop(pool[i], [this, i] { return served_[i]; });
  }
  tally ended;  // clients that were served to their end

private:
  void take_all() {
    while (auto client = impl_->take()) {
      const std::size_t i = next_++ % pool.size();
      const auto given = std::make_shared<detail::accepted_connection>(std::move(*client));
      pool[i].post([this, i, given] { start(i, *given); });
    }
  }
  void start(std::size_t i, detail::accepted_connection& client) {
    ++served_[i];
    auto started = detail::start_channel(pool[i], std::move(client.parts), std::move(client.slot));
    REQUIRE(started.has_value());
    pool[i].spawn(serve(std::move(*started), ended));
  }
  static task<void> serve(channel ch, tally& ended) {
    co_await echo(std::move(ch));
    ended.add();
  }
  static task<void> echo(channel ch) {
    for (;;) {
      auto m = co_await as_result(ch.recv());
      if (!m || !*m || (*m)->text() == "bye") co_return;
      const auto sent = co_await as_result(ch.send((*m)->bytes()));
      if (!sent) co_return;
    }
  }

  std::unique_ptr<detail::handshake_listener> impl_;
  std::size_t next_ = 0;
  std::array<std::size_t, 8> served_{};

public:
  loop_pool pool;  // the first to go
};

task<int> exchange(channel& ch, int messages) {
  int right = 0;
  for (int i = 0; i < messages; ++i) {
    const std::string text = std::to_string(i);
    co_await ch.send(text);
    const auto m = co_await ch.recv();
    if (m && m->text() == text) ++right;
  }
  co_return right;
}
task<int> be_client(loop& lp, std::string path, int messages) {
  channel ch = co_await connect(lp, path);
  co_return co_await exchange(ch, messages);
}
task<std::error_code> error_of_connecting(loop& lp, std::string path) {
  co_return (co_await as_result(connect(lp, std::move(path)))).error();
}

}  // namespace

TEST_CASE("one listener spreads its clients over a pool's loops, which serve them to the end") {
  constexpr std::size_t clients = 30;
  const temporary_folder folder;
  loop lp;
  const auto serve_all = [&] {
    spreading_server server(3, folder / "spread", {});
    const auto all = [&]() -> task<std::vector<int>> {
      std::vector<task<int>> running;
      for (std::size_t i = 0; i < clients; ++i)
        running.push_back(be_client(lp, folder / "spread", 100));
      co_return co_await when_all(std::move(running));
    };
    for (const int right : lp.run(all())) CHECK(right == 100);
    CHECK(server.ended.reaches(clients));
    CHECK(server.clients() == 0);
    for (std::size_t i = 0; i < server.pool.size(); ++i) CHECK(server.served_by(i) == clients / 3);
  };
  serve_all();  // what the system makes once is made before counting
  const int before = open_descriptors();
  serve_all();
  CHECK(open_descriptors() <= before + handles_of_the_system);
}

TEST_CASE(
    "limits, in all and per user, hold whichever loop a client is served on; a place is free when its client has been served") {
  const temporary_folder folder;
  loop lp;
  for (const bool per_user : {false, true}) {
    CAPTURE(per_user);
    listener_options options;
    (per_user ? options.max_clients_per_user : options.max_clients) = 3;
    spreading_server server(2, folder / "few", options);
    std::vector<channel> there;
    for (int i = 0; i < 3; ++i) there.push_back(lp.run(connect(lp, folder / "few")));
    for (std::size_t round = 1; round <= 10; ++round) {
      CHECK(lp.run(error_of_connecting(lp, folder / "few")) ==
            (per_user ? errc::refused_too_many_of_user : errc::refused_too_many));
      there.erase(there.begin());
      REQUIRE(server.ended.reaches(round));
      CHECK(server.clients() == 2);
      there.push_back(lp.run(connect(lp, folder / "few")));
      CHECK(lp.run(exchange(there.back(), 3)) == 3);
    }
  }
}

TEST_CASE(
    "who hears that its channel was destroyed by a server's loop finds its place free, whatever thread that was in") {
  const temporary_folder folder;
  loop lp;
  listener_options options;
  options.max_clients = 1;
  spreading_server server(2, folder / "one", options);
  const auto come_and_go = [&]() -> task<bool> {
    channel ch = co_await connect(lp, folder / "one");
    co_await ch.send("bye");
    co_return !co_await ch.recv();
  };
  for (int i = 0; i < 100; ++i) REQUIRE(lp.run(come_and_go()));
}

TEST_CASE(
    "a client that is handed to a loop that runs no more is hung up on when the pool is destroyed") {
  const temporary_folder folder;
  loop lp;
  channel client;
  {
    spreading_server server(2, folder / "late", {});
    CHECK(lp.run(be_client(lp, folder / "late", 1)) == 1);
    on_loop(server.pool[1], [&] { server.pool[1].stop(); });
    client = lp.run(connect(lp, folder / "late"));
    CHECK_FALSE(lp.run(error_of_connecting(lp, folder / "late")));  // the other loop's turn
  }
  const auto ended = [&]() -> task<std::error_code> {
    co_return (co_await as_result(ringbell::timeout(patience, client.recv()))).error();
  };
  CHECK(lp.run(ended()) == errc::peer_closed);
}

TEST_CASE("a listener and its clients may be destroyed by whoever has joined the pool") {
  const temporary_folder folder;
  loop lp;
  const int before = open_descriptors();
  channel client;
  {
    loop_pool pool(2);
    auto core = on_loop(
        pool[0], [&] { return detail::handshake_listener::bind(pool[0], folder / "joined", {}); });
    client = lp.run(connect(lp, folder / "joined"));
    pool.stop();
    pool.join();
    REQUIRE(core->clients() == 1);
    auto accepted = core->take();
    REQUIRE(accepted.has_value());
    {
      const auto server =
          detail::start_channel(pool[1], std::move(accepted->parts), std::move(accepted->slot));
      REQUIRE(server.has_value());
    }
    CHECK(core->clients() == 0);
    core.reset();
  }
  CHECK(lp.run([](channel& ch) -> task<bool> { co_return !co_await ch.recv(); }(client)));
  client = {};
  CHECK(open_descriptors() <= before + handles_of_the_system);
}

}  // TEST_SUITE("loop_pool")
