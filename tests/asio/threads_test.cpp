// SPDX-License-Identifier: BSL-1.0
// Many connections on a context that four threads run: each end on a strand of its own, or on none
// where its operations are one chain.
#include <ringbell/asio.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/when_all.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_echo.hpp"
#include "support/native_peer.hpp"
#include "support/resources.hpp"
#include "support/variable.hpp"

TEST_SUITE("asio threads") {

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

using namespace ringbell;
using namespace ringbell::test;
using namespace ringbell::test::asio_echo;

namespace {

// -- native clients --

task<void> native_write(channel& ch, int client) {
  for (std::uint64_t n = 0; n < messages; ++n) {
    const auto bytes = message_of(seed_of(client, n));
    co_await ch.send(bytes);
  }
}
task<void> native_read(channel& ch, int client, tally& all) {
  for (std::uint64_t n = 0; n < messages; ++n) {
    const std::optional<message> m = co_await ch.recv();
    if (!m) co_return;
    all.check(m->bytes(), seed_of(client, n));
  }
}
task<void> native_stream(channel ch, int client, tally& all) {
  co_await when_all(native_write(ch, client), native_read(ch, client, all));
  ++all.ended;
}
task<void> native_streams(loop& lp, channel first, std::string path, tally& all) {
  scope streams(lp);
  streams.spawn(native_stream(std::move(first), asio_clients, all));
  for (int client = asio_clients + 1; client < connections; ++client) {
    channel ch = co_await connect(lp, path, small_ring());
    streams.spawn(native_stream(std::move(ch), client, all));
  }
  co_await streams.join();
}

// -- the threads --

/// Has four threads run the context until nothing is left to be done, or something else stops it;
/// `meanwhile` runs in this one.
template <class F>
void run_by_four(net::io_context& context, F meanwhile) {
  context.restart();
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) threads.emplace_back([&context] { context.run_for(longest_run); });
  meanwhile();
  for (std::thread& t : threads) t.join();
  CHECK(context.stopped());
}
void run_by_four(net::io_context& context) {
  run_by_four(context, [] {});
}
/// Waits until so many messages have come back, for a bounded time.
void await_messages(const tally& all, std::uint64_t wanted) {
  const auto deadline = std::chrono::steady_clock::now() + longest_run;
  while (all.right < wanted && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::microseconds(100));
}

/// A message comes while the others are on their way: from the first to the last, all of them.
template <class Context, class Run>
void everything_comes_back(Context& context, Run run) {
  const temporary_folder folder;
  const std::string path = folder / "service";
  tally all;
  {
    native_peer native(path, small_ring(), [&](loop& lp, channel first) {
      return native_streams(lp, std::move(first), path, all);
    });
    listener_options options;
    options.default_ring_bytes = 4096;
    auto strand = net::make_strand(context);
    auto listener = std::make_unique<asio_listener>(strand, path, options);
    net::co_spawn(strand, serve(context, *listener, all), [&](std::exception_ptr e) {
      if (e) ++all.wrong;
      listener.reset();
    });
    for (int client = 0; client < asio_clients; ++client) start_client(context, path, client, all);
    run(all);
    native.join();
  }
  CHECK(all.ended == 2 * connections);
  CHECK(all.echoed == connections * messages);
  CHECK(all.right == connections * messages);
  CHECK(all.wrong == 0);
}

}  // namespace

TEST_CASE("what many connections send comes back, on an io_context run by four threads") {
  for (const char* spin : {"", "none"}) {
    CAPTURE(spin);
    set_variable("RINGBELL_SPIN", spin);
    net::io_context context(4);
    everything_comes_back(context, [&](tally&) { run_by_four(context); });
  }
  unset_variable("RINGBELL_SPIN");
}

TEST_CASE("what many connections send comes back, on a thread_pool") {
  for (const char* spin : {"", "none"}) {
    CAPTURE(spin);
    set_variable("RINGBELL_SPIN", spin);
    net::thread_pool pool(4);
    everything_comes_back(pool, [&](const tally& all) {
      const auto deadline = std::chrono::steady_clock::now() + longest_run;
      while (all.ended != 2 * connections && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (all.ended != 2 * connections) pool.stop();
      pool.join();
    });
  }
  unset_variable("RINGBELL_SPIN");
}

TEST_CASE(
    "a context that is stopped again and again amid the traffic of four threads loses nothing") {
  net::io_context context(4);
  everything_comes_back(context, [&](const tally& all) {
    for (std::uint64_t rest = 10; rest > 0; --rest)
      run_by_four(context, [&] {
        await_messages(all, connections * messages / (rest + 1));
        context.stop();
      });
    run_by_four(context);
  });
}

TEST_CASE("a context that is destroyed amid the traffic of four threads takes everything with it") {
  const temporary_folder folder;
  const std::string path = folder / "service";
  const auto before = resources::now();
  for (int round = 0; round < 3; ++round) {
    tally all;  // outlives the coroutines that count in it
    {
      net::thread_pool pool(4);
      net::co_spawn(net::make_strand(pool),
                    serve_with(pool, std::make_unique<asio_listener>(pool, path), all),
                    net::detached);
      for (int client = 0; client < asio_clients; ++client) start_client(pool, path, client, all);
      await_messages(all, messages);
      pool.stop();
      pool.join();
    }
    CHECK(all.right >= messages);
    CHECK(all.wrong == 0);
  }
  const auto after = resources::now();
  CHECK(after.descriptors == before.descriptors);
  CHECK(after.regions == before.regions);
}

TEST_CASE("a context that one thread runs goes on as well") {
  net::io_context context(1);
  everything_comes_back(context, [&](tally&) { context.run_for(longest_run); });
}

#endif

}  // TEST_SUITE("asio threads")
