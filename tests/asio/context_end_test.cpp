// SPDX-License-Identifier: BSL-1.0
// A context that is destroyed while operations of each kind are pending: no descriptor and no frame
// is left, and the peer sees the end.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "support/asio.hpp"
#include "support/asio_scene.hpp"
#include "support/resources.hpp"
#include "support/service.hpp"

TEST_SUITE("asio context_end") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t never_method = method_id("never");

using token = std::shared_ptr<int>;  // in each handler and frame that has to go

/// Never answers; `holding` stays in the handler's frame.
/// Counts the calls that have begun in `begun`, which outlives the server.
asio_server::handler_type answers_never(token holding, int* begun = nullptr) {
  return [holding, begun](asio_request r) -> net::awaitable<reply> {
    const token held = holding;
    if (begun) ++*begun;
    net::steady_timer timer(r.get_executor(), 1h);
    co_await timer.async_wait(net::use_awaitable);
    co_return reply("late");
  };
}

/// Runs `start(context, path, token)` as a coroutine in a context, and that context and `peer`
/// until `there()`; then destroys the context.
template <class F, class G>
void destroyed_in_the_middle(net::io_context& peer, const std::string& path, F start, G there) {
  const token held = std::make_shared<int>();
  {
    net::io_context context;
    net::co_spawn(context, start(context, path, held),
                  [held](std::exception_ptr e) { CHECK_FALSE(e); });
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!there()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      context.run_one_for(1ms);
      peer.restart();
      peer.poll();
    }
    for (int i = 0; i < 100; ++i) context.poll_one();
  }
  CHECK(held.use_count() == 1);
}

std::int64_t descriptors() { return resources::now().descriptors; }

/// Whether so many are open, now or soon: a thread of the library's own closes what a peer has
/// sent.
bool open_again(std::int64_t before) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (descriptors() > before && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  return descriptors() <= before;
}

/// A context, and Asio's own descriptors that a process keeps.
void warm_up() {
  net::io_context context;
  net::steady_timer timer(context, 1ms);
  timer.async_wait([](net_error_code) {});
  context.run();
}

/// A server in a context of its own, which sees what becomes of its client.
struct watching_server {
  temporary_folder folder;
  std::string path = folder / "service";
  net::io_context context;
  int begun = 0;
  int cancelled = 0;
  asio_server server{context, path, [this](asio_request r) -> net::awaitable<reply> {
                       ++begun;
                       net::steady_timer timer(r.get_executor(), 1h);
                       net_error_code error;
                       co_await timer.async_wait(net::redirect_error(net::use_awaitable, error));
                       if (error) ++cancelled;
                       co_return reply();
                     }};
};

}  // namespace

TEST_CASE("a client's call: the server sees the end, and its handler is cancelled") {
  warm_up();
  const auto before = descriptors();
  {
    watching_server s;
    const auto open = descriptors();
    const auto call = [](net::io_context& context, std::string path,
                         token held) -> net::awaitable<void> {
      const token mine = held;
      asio_client c(context);
      co_await c.async_connect(path, net::use_awaitable);
      co_await c.async_call(never_method, net::buffer("q", 1), net::use_awaitable);
    };
    destroyed_in_the_middle(s.context, s.path, call, [&] { return s.begun == 1; });
    CHECK(run_until(s.context, [&] { return s.server.clients() == 0 && s.cancelled == 1; }));
    CHECK(open_again(open));
  }
  CHECK(open_again(before));
}

TEST_CASE(
    "a client that is kept elsewhere is closed when its context ends, and harmless afterwards") {
  warm_up();
  const auto before = descriptors();
  {
    watching_server s;
    std::optional<asio_client> client;
    std::optional<asio_call_stream> stream;
    const auto call = [&](net::io_context& context, std::string path,
                          token held) -> net::awaitable<void> {
      const token mine = held;
      client.emplace(context);
      co_await client->async_connect(path, net::use_awaitable);
      stream.emplace(client->open(never_method));
      co_await stream->async_read(net::use_awaitable);
    };
    destroyed_in_the_middle(s.context, s.path, call, [&] { return s.begun == 1; });
    CHECK(run_until(s.context, [&] { return s.server.clients() == 0 && s.cancelled == 1; }));
    CHECK_FALSE(client->is_open());
    CHECK(client->peer().process == sys::peer_identity().process);
    stream->finish();
    CHECK_FALSE(client->open(never_method).is_open());
    const asio_client copy = *client;
    client->close();
    stream.reset();
    client.reset();
    CHECK_FALSE(copy.is_open());
  }
  CHECK(open_again(before));
}

TEST_CASE("a client's connect, with nobody there") {
  warm_up();
  const temporary_folder folder;
  const auto before = descriptors();
  int begun = 0;
  net::io_context none;
  const auto open = descriptors();
  const auto connect = [&](net::io_context& context, std::string path,
                           token held) -> net::awaitable<void> {
    const token mine = held;
    asio_client c(context);
    ++begun;
    co_await c.async_connect(path, net::use_awaitable);
  };
  destroyed_in_the_middle(none, folder / "nobody", connect, [&] { return begun == 1; });
  CHECK(open_again(open));
  CHECK(open >= before);
}

TEST_CASE("a server with a call under way: the client sees the end, and no socket is left") {
  for (const bool stopping : {false, true}) {
    CAPTURE(stopping);
    warm_up();
    const temporary_folder folder;
    const std::string path = folder / "service";
    net::io_context peer;
    const net::steady_timer with_descriptors(peer);
    int called = 0;
    net_error_code seen;
    asio_client client(peer);
    int under_way = 0;
    const auto before = descriptors();
    client.async_connect(path, [&](net_error_code error) {
      REQUIRE_FALSE(error);
      client.async_call(never_method, net::buffer("q", 1), [&](net_error_code e, const payload&) {
        ++called;
        seen = e;
      });
    });
    const auto serve = [&](net::io_context& context, std::string at,
                           token held) -> net::awaitable<void> {
      const token mine = held;
      asio_server s(context, at, answers_never(held, &under_way));
      net::steady_timer timer(context);
      while (under_way == 0) {
        timer.expires_after(1ms);
        co_await timer.async_wait(net::use_awaitable);
      }
      if (stopping) co_await s.async_stop(1h, net::use_awaitable);
      timer.expires_after(1h);
      co_await timer.async_wait(net::use_awaitable);
    };
    destroyed_in_the_middle(peer, path, serve, [&] { return under_way == 1; });
    CHECK(run_until(peer, [&] { return called == 1; }));
    CHECK(seen == net::error::connection_reset);
    CHECK_FALSE(std::filesystem::exists(path));
    client.close();
    run_out(peer);
    CHECK(open_again(before));
  }
}

TEST_CASE(
    "a server that is kept elsewhere is closed when its context ends, and harmless afterwards") {
  warm_up();
  const temporary_folder folder;
  const std::string path = folder / "service";
  const auto before = descriptors();
  {
    auto context = std::make_unique<net::io_context>();
    asio_server server(*context, path, answers_never({}));
    CHECK(server.path() == path);
    context->poll();
    context.reset();
    CHECK_FALSE(server.is_open());
    CHECK(server.path().empty());
    CHECK(server.clients() == 0);
    CHECK_FALSE(std::filesystem::exists(path));
    server.close();
    server.close();
  }
  CHECK(open_again(before));
}

TEST_CASE(
    "each operation of a channel: the peer sees the end, also when the channel is kept elsewhere") {
  warm_up();
  for (const operation& op : all_operations)
    for (const bool kept : {false, true}) {
      CAPTURE(op);
      CAPTURE(kept);
      const auto before = descriptors();
      {
        const temporary_folder folder;
        net::io_context peer;
        asio_listener listener(peer, folder / "service");
        asio_channel accepted(peer);
        listener.async_accept([&](net_error_code, asio_channel ch) { accepted = std::move(ch); });
        asio_channel client;
        const token held = std::make_shared<int>();
        {
          net::io_context context;
          bool connected = false;
          async_connect(context, folder / "service", [&](net_error_code error, asio_channel ch) {
            REQUIRE_FALSE(error);
            client = std::move(ch);
            connected = true;
          });
          const auto deadline = std::chrono::steady_clock::now() + patience;
          while (!connected || !accepted.is_open()) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            context.run_one_for(1ms);
            peer.restart();
            peer.poll();
          }
          if (op.receives)
            client.async_recv([held](net_error_code, const message&) {
              FAIL("called by a context that was destroyed");
            });
          const std::vector<std::byte> bytes(200'000);
          std::vector<std::byte> kept_bytes(600'000);
          if (op.sends) {
            while (!client.try_send(net::buffer(bytes.data(), 1000))) {}
            client.async_send(net::buffer(kept_bytes), [held](net_error_code) {
              FAIL("called by a context that was destroyed");
            });
          }
          context.restart();
          context.poll();
          if (!kept) {
            asio_channel in_handler = std::move(client);
            net::post(context, [ch = std::move(in_handler)] {});
          }
        }
        CHECK(held.use_count() == 1);
        if (kept) {
          CHECK(client.is_open());
          net_error_code error;
          (void)client.try_recv(error);
          CHECK(error == net::error::would_block);
          client.cancel();
          client.close_send();
          client.close();
          CHECK_FALSE(client.is_open());
        }
        net_error_code seen;
        while (!seen) {
          bool called = false;
          accepted.async_recv([&](net_error_code error, const message&) {
            seen = error;
            called = true;
          });
          REQUIRE(run_until(peer, [&] { return called; }));
        }
        CHECK(seen == net::error::eof);
      }
      CHECK(open_again(before));
    }
}

TEST_CASE(
    "a listener that is kept elsewhere is closed when its context ends, and harmless afterwards") {
  warm_up();
  const temporary_folder folder;
  const std::string path = folder / "service";
  const auto before = descriptors();
  {
    auto context = std::make_unique<net::io_context>();
    asio_listener listener(*context, path);
    const token held = std::make_shared<int>();
    listener.async_accept([held](net_error_code, const asio_channel&) {
      FAIL("called by a context that was destroyed");
    });
    context->poll();
    context.reset();
    CHECK(held.use_count() == 1);
    CHECK_FALSE(listener.is_open());
    CHECK(listener.path().empty());
    CHECK(listener.clients() == 0);
    CHECK_FALSE(std::filesystem::exists(path));
    listener.cancel();
    listener.close();
  }
  CHECK(open_again(before));
}

TEST_CASE("async_run, from_asio and run_in: the loop can go before its context, and after it") {
  warm_up();
  for (const bool loop_first : {false, true}) {
    CAPTURE(loop_first);
    const auto before = descriptors();
    const token held = std::make_shared<int>();
    {
      auto context = std::make_unique<net::io_context>();
      auto lp = std::make_unique<loop>();
      std::optional<running_loop> running(run_in(*lp, *context));
      const auto native = [](token mine) -> task<void> {
        co_await sleep_for(1h * mine.use_count());
      };
      const auto of_asio = [](token mine) -> net::awaitable<void> {
        net::steady_timer timer(co_await net::this_coro::executor, 1h * mine.use_count());
        co_await timer.async_wait(net::use_awaitable);
      };
      const auto both = [of_asio](net::io_context& on, token mine) -> task<void> {
        co_await from_asio(on, of_asio(mine));
      };
      async_run(*context, *lp, native(held), [held](net_error_code) {});
      lp->spawn(both(*context, held));
      net::co_spawn(
          *context,
          [&, mine = held]() -> net::awaitable<void> {
            co_await async_run(*context, *lp, native(mine), net::use_awaitable);
          },
          net::detached);
      for (int i = 0; i < 20; ++i) context->poll_one();
      CHECK(held.use_count() > 3);
      if (loop_first) {
        running.reset();
        lp.reset();
        context.reset();
      } else {
        context.reset();
        running.reset();
        lp.reset();
      }
      CHECK(held.use_count() == 1);
    }
    CHECK(open_again(before));
  }
}

}  // TEST_SUITE("asio context_end")
