// SPDX-License-Identifier: BSL-1.0
// Clients and servers on Asio's executors, with each other and with native ones.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/asio.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"
#include "support/service.hpp"

TEST_SUITE("asio service") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t shout = method_id("shout");
constexpr std::uint32_t count_to = method_id("count");
constexpr std::uint32_t slow = method_id("slow");

net::awaitable<reply> answer(asio_request r) {
  switch (r.method()) {
    case echo_method: co_return reply(r.bytes());
    case shout: throw call_error(7, "too loud");
    case count_to:
      for (int i = 0, n = r.as<int>(); i < n; ++i)
        co_await r.async_write(net::buffer(&i, sizeof i), net::use_awaitable);
      co_return reply("counted");
    case slow: {
      net::steady_timer timer(r.get_executor(), 1h);
      co_await timer.async_wait(net::use_awaitable);
      co_return reply();
    }
    default: throw std::system_error(errc::no_such_method);
  }
}

/// Runs `body(context, path)` as a coroutine beside an Asio server, to its end.
template <class F>
void beside_a_server(F body) {
  const temporary_folder folder;
  const std::string path = folder / "service";
  net::io_context context;
  std::exception_ptr failed;
  {
    asio_server server(context, path, answer);
    net::co_spawn(context, body(context, path), [&](std::exception_ptr e) {
      failed = e;
      server.close();
    });
    context.run_for(patience);
    CHECK(context.stopped());
  }
  if (failed) std::rethrow_exception(failed);
}

}  // namespace

TEST_CASE("a call from Asio reaches a handler that is an awaitable, and its reply comes back") {
  beside_a_server([](net::io_context& context, std::string path) -> net::awaitable<void> {
    asio_client c(context);
    co_await c.async_connect(path, net::use_awaitable);
    std::vector<std::byte> bytes(1 << 20);
    fill(bytes, 3);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{64}, std::size_t{5000}, bytes.size()}) {
      const payload p =
          co_await c.async_call(echo_method, net::buffer(bytes.data(), size), net::use_awaitable);
      CHECK(p.size() == size);
      CHECK(matches(p.bytes(), 3));
    }
  });
}

TEST_CASE("what an awaitable throws reaches the client with code and text") {
  beside_a_server([](net::io_context& context, std::string path) -> net::awaitable<void> {
    asio_client c(context);
    co_await c.async_connect(path, net::use_awaitable);
    std::string text;
    try {
      co_await c.call(shout);
    } catch (const call_error& e) {
      CHECK(e.code() == std::error_code(7, handler_category()));
      text = e.text();
    }
    CHECK(text == "too loud");
    net_error_code error;
    co_await c.async_call(99, net::const_buffer(), net::redirect_error(net::use_awaitable, error));
    CHECK(error == make_error_code(errc::no_such_method));
  });
}

TEST_CASE("connecting, calling and stopping take limits of any length, also negative ones") {
  const temporary_folder folder;
  net::io_context context;
  asio_server server(context, folder / "service", answer);
  const auto body = [](net::io_context& on, asio_server& own,
                       std::string path) -> net::awaitable<void> {
    for (const time_limit limit :
         {time_limit(std::chrono::nanoseconds::max()), time_limit(std::chrono::hours::max()),
          time_limit(std::chrono::duration<double>::max())}) {
      connect_options of_channel;
      of_channel.timeout = limit;
      asio_client c(on);
      client_options of_client;
      of_client.connection = of_channel;
      co_await c.async_connect(path, of_client, net::use_awaitable);
      call_options of_call;
      of_call.timeout = limit;
      const payload p = co_await c.call(echo_method, net::buffer("hello", 5), of_call);
      CHECK(p.text() == "hello");
      of_call.timeout = std::chrono::hours::min();
      net_error_code error;
      co_await c.async_call(slow, net::const_buffer(), of_call,
                            net::redirect_error(net::use_awaitable, error));
      CHECK(error == net::error::timed_out);
      c.close();
    }
    asio_server other(on, path + "2", answer);
    (void)co_await other.async_stop(std::chrono::hours::min(), net::use_awaitable);
    CHECK(co_await own.async_stop(std::chrono::hours::max(), net::use_awaitable));
    own.close();
  };
  std::exception_ptr failed;
  net::co_spawn(context, body(context, server, folder / "service"), [&](std::exception_ptr e) {
    failed = e;
    server.close();
  });
  context.run_for(patience);
  CHECK(context.stopped());
  if (failed) std::rethrow_exception(failed);
}

TEST_CASE("parts of a reply arrive in order, then the reply") {
  beside_a_server([](net::io_context& context, std::string path) -> net::awaitable<void> {
    asio_client c(context);
    co_await c.async_connect(path, net::use_awaitable);
    const int n = 5000;  // many windows
    asio_call_stream numbers = c.open(count_to, net::buffer(&n, sizeof n));
    numbers.finish();
    int next = 0;
    for (;;) {
      const std::optional<payload> part = co_await numbers.async_read(net::use_awaitable);
      if (!part) break;
      CHECK(part->as<int>() == next++);
    }
    CHECK(next == n);
    const payload last = co_await numbers.async_reply(net::use_awaitable);
    CHECK(last.text() == "counted");
  });
}

TEST_CASE("cancelling a call by its slot ends it at once, and cancels the handler") {
  beside_a_server([](net::io_context& context, std::string path) -> net::awaitable<void> {
    asio_client c(context);
    co_await c.async_connect(path, net::use_awaitable);
    net::cancellation_signal signal;
    net::steady_timer timer(context, 20ms);
    timer.async_wait([&](net_error_code) { signal.emit(net::cancellation_type::terminal); });
    net_error_code error;
    co_await c.async_call(
        slow, net::const_buffer(),
        net::bind_cancellation_slot(signal.slot(), net::redirect_error(net::use_awaitable, error)));
    CHECK(error == net::error::operation_aborted);
    const payload p = co_await c.async_call(echo_method, net::buffer("x", 1), net::use_awaitable);
    CHECK(p.text() == "x");
  });
}

TEST_CASE(
    "a client that is closed or destroyed while calls are pending lets them end, and the context too") {
  beside_a_server([](net::io_context& context, std::string path) -> net::awaitable<void> {
    for (const bool close : {false, true}) {
      net_error_code error;
      bool ended = false;
      {
        asio_client c(context);
        co_await c.async_connect(path, net::use_awaitable);
        c.async_call(slow, net::const_buffer(), [&](net_error_code e, payload) {
          error = e;
          ended = true;
        });
        if (close) {
          c.close();
          net::steady_timer timer(context, 1ms);
          for (int i = 0; i < 60'000 && !ended; ++i) {
            timer.expires_after(1ms);
            co_await timer.async_wait(net::use_awaitable);
          }
          CHECK(error == net::error::bad_descriptor);
        } else {
          call_options soon;
          soon.timeout = 10ms;
          co_await c.async_call(slow, net::const_buffer(), soon,
                                net::redirect_error(net::use_awaitable, error));
          CHECK(error == net::error::timed_out);
          c.close();
        }
      }
      net::steady_timer timer(context, 5ms);
      for (int i = 0; i < 60'000 && !ended; ++i) {
        timer.expires_after(1ms);
        co_await timer.async_wait(net::use_awaitable);
      }
      CHECK(ended);
    }
  });
}

TEST_CASE(
    "a native client calls an Asio server in another thread, and an Asio client a native server") {
  const temporary_folder folder;
  const std::string path = folder / "native";
  const std::string other = folder / "asio";
  net::io_context context;
  asio_server server(context, other, answer);
  std::thread native([&] {
    loop lp;
    lp.run([](loop& on, std::string here, std::string there) -> task<void> {
      int answered = 0;
      ringbell::server s(on, here, [&](request r) -> task<reply> {
        ++answered;
        co_return reply(r.bytes());
      });
      client c = co_await client::connect(on, there);
      for (int i = 0; i < 1000; ++i) {
        const payload p = co_await c.call_with(echo_method, i);
        CHECK(p.as<int>() == i);
      }
      const payload stop = co_await c.call(echo_method, "done");
      CHECK(stop.text() == "done");
      while (answered < 1000 || s.clients() != 0) co_await sleep_for(1ms);
    }(lp, path, other));
  });
  net::co_spawn(
      context,
      [](net::io_context& on, std::string to, asio_server& own) -> net::awaitable<void> {
        asio_client c(on);
        co_await c.async_connect(to, net::use_awaitable);
        for (int i = 0; i < 1000; ++i) {
          const payload p =
              co_await c.async_call(echo_method, net::buffer(&i, sizeof i), net::use_awaitable);
          CHECK(p.as<int>() == i);
        }
        c.close();
        net::steady_timer timer(on);
        while (own.clients() != 0) {
          timer.expires_after(1ms);
          co_await timer.async_wait(net::use_awaitable);
        }
        const bool by_itself = co_await own.async_stop(patience, net::use_awaitable);
        CHECK(by_itself);
        own.close();
      }(context, path, server),
      [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
      });
  context.run_for(patience);
  CHECK(context.stopped());
  native.join();
}

}  // TEST_SUITE("asio service")
