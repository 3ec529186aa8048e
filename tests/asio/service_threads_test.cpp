// SPDX-License-Identifier: BSL-1.0
// Handlers on several threads, typed calls, and the words that errors have.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_scene.hpp"
#include "support/service.hpp"

TEST_SUITE("asio service_threads") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

struct point {
  int x;
  int y;
};

constexpr std::uint32_t sum_method = method_id("sum");
constexpr std::uint32_t parts_method = method_id("parts");
constexpr std::uint32_t meet_method = method_id("meet");
constexpr std::uint32_t slow_method = method_id("slow");

/// Where so many threads meet: none goes on before all are there.
class meeting {
public:
  explicit meeting(int of) : missing_(of) {}
  bool all_there() {
    std::unique_lock lock(mutex_);
    if (--missing_ == 0) changed_.notify_all();
    return changed_.wait_for(lock, patience, [this] { return missing_ <= 0; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int missing_;
};

net::awaitable<reply> answer(asio_request r, meeting& all) {
  switch (r.method()) {
    case sum_method: {
      const auto p = r.as<point>();
      co_return reply::of(p.x + p.y);
    }
    case parts_method: {
      int sum = 0;
      while (const auto part = co_await r.async_read(net::use_awaitable)) {
        sum += part->as<int>();
        co_await r.async_write(net::buffer(part->bytes().data(), part->size()), net::use_awaitable);
      }
      co_return reply::of(sum);
    }
    case meet_method: co_return reply(all.all_there() ? "met" : "alone");
    default: {
      net::steady_timer timer(r.get_executor(), 1h);
      net_error_code error;
      co_await timer.async_wait(net::redirect_error(net::use_awaitable, error));
      co_return reply(r.stop_requested() ? "stopped" : "not stopped");
    }
  }
}

}  // namespace

TEST_CASE(
    "handlers run at the same time on the threads of a pool, while the connections have one of their own") {
  constexpr int threads = 4;
  const temporary_folder folder;
  meeting all(threads);
  net::thread_pool pool(threads);
  {
    net::io_context context;
    asio_server server(context, pool, folder / "service",
                       [&](asio_request r) { return answer(std::move(r), all); });
    int met = 0, right = 0, cancelled = 0;
    const auto meet = [&](asio_client c) -> net::awaitable<void> {
      met += (co_await c.call(meet_method)).text() == "met" ? 1 : 0;
    };
    const auto work = [&](asio_client c) -> net::awaitable<void> {
      for (int i = 0; i < 50; ++i) {
        right += (co_await c.call_with(sum_method, point{i, 1})).as<int>() == i + 1 ? 1 : 0;
        asio_call_stream s = c.open(parts_method);
        for (int n = 1; n <= 3; ++n) co_await s.async_write_value(n, net::use_awaitable);
        s.finish();
        int parts = 0;
        while (co_await s.async_read(net::use_awaitable)) ++parts;
        right += parts == 3 && (co_await s.async_reply(net::use_awaitable)).as<int>() == 6 ? 1 : 0;
        net_error_code error;
        const payload late = co_await c.async_call(slow_method, net::const_buffer(), 1ms,
                                                   net::redirect_error(net::use_awaitable, error));
        cancelled += error == net::error::timed_out || late.text() == "stopped" ? 1 : 0;
      }
    };
    const auto body = [&]() -> net::awaitable<void> {
      asio_client c(context);
      co_await c.async_connect(folder / "service", net::use_awaitable);
      co_await (meet(c) && meet(c) && meet(c) && meet(c));
      co_await (work(c) && work(c) && work(c));
      // Left alone: the server ends while they wait.
      for (int i = 0; i < 10; ++i)
        c.async_call(slow_method, net::const_buffer(), [](net_error_code, const payload&) {});
      co_await c.call_with(sum_method, point{1, 1});
      server.close();
      c.close();
    };
    net::co_spawn(context, body(), rethrow);
    run_out(context);
    CHECK(met == threads);
    CHECK(right == 300);
    CHECK(cancelled == 150);
  }
  pool.join();
}

TEST_CASE(
    "a server on a strand of a context that several threads run, with handlers on those threads") {
  const temporary_folder folder;
  meeting all(2);
  net::io_context context;
  std::atomic<int> right{0};
  {
    const auto strand = net::make_strand(context);
    asio_server server(strand, context, folder / "service",
                       [&](asio_request r) { return answer(std::move(r), all); });
    std::atomic<int> ended{0};
    const auto client = [&](net::any_io_executor on) -> net::awaitable<void> {
      asio_client c(on);
      co_await c.async_connect(folder / "service", net::use_awaitable);
      right += (co_await c.call(meet_method)).text() == "met" ? 1 : 0;
      for (int i = 0; i < 200; ++i)
        right += (co_await c.call_with(sum_method, point{i, 1})).as<int>() == i + 1 ? 1 : 0;
      c.close();
      if (++ended == 2) net::dispatch(strand, [&server] { server.close(); });
    };
    for (int i = 0; i < 2; ++i) {
      const net::any_io_executor on = net::make_strand(context);
      net::co_spawn(on, client(on), rethrow);
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { context.run_for(patience); });
    for (std::thread& t : threads) t.join();
    CHECK(context.stopped());
  }
  CHECK(right == 402);
}

TEST_CASE("a typed call gives its value to any token") {
  const temporary_folder folder;
  net::io_context context;
  meeting none(1);
  asio_server server(context, folder / "service",
                     [&](asio_request r) { return answer(std::move(r), none); });
  asio_client c(context);
  const point p{3, 4};
  int sum = 0;
  c.async_connect(folder / "service", [&](net_error_code) {
    c.async_call_with(sum_method, p, [&](net_error_code error, const payload& r) {
      sum = error ? -1 : r.as<int>();
      c.async_call_with(sum_method, p, patience, [&](net_error_code e, const payload& again) {
        sum += e ? -1 : again.as<int>();
        c.close();
        server.close();
      });
    });
  });
  run_out(context);
  CHECK(sum == 14);
}

TEST_CASE("errors have the same words whatever gives them: codes, and what coroutines throw") {
  const temporary_folder folder;
  net::io_context context;
  meeting none(1);
  auto server = std::make_unique<asio_server>(
      context, folder / "service", [&](asio_request r) { return answer(std::move(r), none); });
  int checked = 0;
  const auto thrown = [&](net::awaitable<payload> call) -> net::awaitable<net_error_code> {
    try {
      co_await std::move(call);
    } catch (const net_system_error& e) {
      co_return e.code();
    }
    co_return net_error_code();
  };
  const auto body = [&]() -> net::awaitable<void> {
    asio_client c(context);
    net_error_code error;
    connect_options brief;
    brief.timeout = 1ms;
    client_options briefly;
    briefly.connection = brief;
    // timed_out
    asio_listener silent(context, folder / "silent");
    co_await async_connect(context, folder / "silent", brief,
                           net::redirect_error(net::use_awaitable, error));
    CHECK(error == net::error::timed_out);
    co_await c.async_connect(folder / "silent", briefly,
                             net::redirect_error(net::use_awaitable, error));
    CHECK(error == net::error::timed_out);
    co_await c.async_connect(folder / "service", net::use_awaitable);
    CHECK(co_await thrown(c.call(slow_method, {}, 1ms)) == net::error::timed_out);
    asio_call_stream s = c.open(slow_method, {}, 1ms);
    co_await s.async_read(net::redirect_error(net::use_awaitable, error));
    CHECK(error == net::error::timed_out);
    co_await s.async_reply(net::redirect_error(net::use_awaitable, error));
    CHECK(error == net::error::timed_out);
    // what Asio has no word for equals the same conditions
    co_await async_connect(context, folder / "nobody", brief,
                           net::redirect_error(net::use_awaitable, error));
    CHECK(error == std::errc::connection_refused);
    // connection_reset
    s = c.open(slow_method);
    net::post(context, [&] { server.reset(); });
    CHECK(co_await thrown(c.call(slow_method)) == net::error::connection_reset);
    co_await s.async_reply(net::redirect_error(net::use_awaitable, error));
    CHECK(error == net::error::connection_reset);
    co_await c.async_call(1, net::const_buffer(), net::redirect_error(net::use_awaitable, error));
    CHECK(error == net::error::connection_reset);
    c.close();
    CHECK(co_await thrown(c.call(1)) == net::error::bad_descriptor);
    ++checked;
  };
  net::co_spawn(context, body(), rethrow);
  run_out(context);
  CHECK(checked == 1);
}

}  // TEST_SUITE("asio service_threads")
