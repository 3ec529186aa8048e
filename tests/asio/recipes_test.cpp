// SPDX-License-Identifier: BSL-1.0
// The recipes of docs/asio.md against a peer that closes, dies, and stays silent.
#include <ringbell/asio.hpp>
#include <ringbell/coro/detail/one_shot_event.hpp>
#include <ringbell/ringbell.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "recipes.hpp"
#include "support/asio.hpp"
#include "support/asio_scene.hpp"
#include "support/child_process.hpp"

TEST_SUITE("asio recipes") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

enum peer_does : int { closes, dies, stays_silent };

/// How a coroutine has ended: the code of what it threw.
struct ending {
  bool ended = false;
  net_error_code error;
  auto handler() {
    return [this](std::exception_ptr e) {
      ended = true;
      try {
        if (e) std::rethrow_exception(e);
      } catch (const net_system_error& thrown) {
        error = thrown.code();
      }
    };
  }
};

int be_client(const std::string& path, int does, const milestone& echoed) {
  loop lp;
  const auto talk = [](loop& on, std::string at, int what, const milestone& done) -> task<void> {
    channel ch = co_await connect(on, std::move(at));
    co_await ch.send(std::string_view("hello"));
    (void)co_await ch.recv();
    done.reach();
    if (what != closes) co_await sleep_for(std::chrono::hours(1));
  };
  lp.run(talk(lp, path, does, echoed));
  return 0;
}

int be_service(const std::string& path, int does, const milestone& listening,
               const milestone& asked) {
  loop lp;
  const auto serve = [](loop& on, std::string at, int what, const milestone& there,
                        const milestone& begun) -> task<void> {
    detail::one_shot_event question;
    server s(on, at, [&](request) -> task<reply> {
      begun.reach();
      question.set();
      co_await sleep_for(std::chrono::hours(1));
      co_return reply();
    });
    there.reach();
    co_await question.wait();
    if (what != closes) co_await sleep_for(std::chrono::hours(1));
  };
  lp.run(serve(lp, path, does, listening, asked));
  return 0;
}

/// What ends `recipe` when the client does that.
template <class F>
net_error_code end_of_session(F recipe, peer_does what) {
  recipes::silence =
      what == stays_silent ? std::chrono::milliseconds(50) : std::chrono::milliseconds(patience);
  const temporary_folder folder;
  const std::string path = folder / "service";
  const milestone echoed;
  net::io_context context;
  asio_listener listener(context, path);
  ending end;
  listener.async_accept([&](net_error_code error, asio_channel ch) {
    REQUIRE_FALSE(error);
    net::co_spawn(context, recipe(std::move(ch)), end.handler());
  });
  child_process client(&be_client, path, static_cast<int>(what), echoed);
  if (what == dies) {
    bool killed_it = false;
    std::thread killer([&] {
      echoed.wait();
      client.kill();
      killed_it = true;
    });
    CHECK(run_until(context, [&] { return end.ended; }));
    killer.join();
    CHECK(killed_it);
  } else {
    CHECK(run_until(context, [&] { return end.ended; }));
  }
  return end.error;
}

template <class F>
void check_session(F recipe) {
  CHECK_FALSE(end_of_session(recipe, closes));
  CHECK(end_of_session(recipe, dies) == net::error::connection_reset);
  CHECK(end_of_session(recipe, stays_silent) == net::error::timed_out);
}

net_error_code end_of_call(peer_does what) {
  recipes::silence =
      what == stays_silent ? std::chrono::milliseconds(50) : std::chrono::milliseconds(patience);
  const temporary_folder folder;
  const std::string path = folder / "service";
  const milestone listening, asked;
  child_process service(&be_service, path, static_cast<int>(what), listening, asked);
  listening.wait();
  std::optional<std::thread> killer;
  if (what == dies)
    killer.emplace([&] {
      asked.wait();
      service.kill();
    });
  net::io_context context;
  ending end;
  const auto call = [&]() -> net::awaitable<void> {
    asio_client c(context);
    co_await c.async_connect(path, net::use_awaitable);
    co_await recipes::ask(c, "how are you");
  };
  net::co_spawn(context, call(), end.handler());
  run_out(context);
  CHECK(end.ended);
  if (killer) killer->join();
  return end.error;
}

}  // namespace

TEST_CASE("a session with limits ends by itself, by connection_reset, and by timed_out") {
  check_session(recipes::session);
}

TEST_CASE("a session with a watchdog ends by itself, by connection_reset, and by timed_out") {
  check_session(recipes::guarded);
}

TEST_CASE("a call with a limit ends by connection_reset, and by timed_out") {
  CHECK(end_of_call(closes) == net::error::connection_reset);
  CHECK(end_of_call(dies) == net::error::connection_reset);
  CHECK(end_of_call(stays_silent) == net::error::timed_out);
}

TEST_CASE(
    "a limited receive that ran out has consumed nothing, and the next one gets the message") {
  for (const spin_policy policy : {spin_policy::none, spin_policy::adaptive, spin_policy::always}) {
    CAPTURE(static_cast<int>(policy));
    net::io_context context;
    asio_pair pair = connected(context);
    pair.client.spin(policy);
    const auto body = [&]() -> net::awaitable<void> {
      net_error_code error;
      for (const time_limit limit : {time_limit(1ms), time_limit(0s), time_limit(-1s),
                                     time_limit(std::chrono::hours::min())}) {
        co_await pair.client.async_recv(limit, net::redirect_error(net::use_awaitable, error));
        CHECK(error == net::error::timed_out);
      }
      CHECK_FALSE(pair.server.try_send(net::buffer("late", 4)));
      CHECK((co_await pair.client.recv(std::chrono::hours::max()))->text() == "late");
      CHECK_FALSE(pair.server.try_send(net::buffer("there", 5)));
      CHECK((co_await pair.client.recv(-1s))->text() == "there");
      pair.client.cancel();
      pair.server.close();
      CHECK_FALSE(co_await pair.client.recv(std::chrono::hours::max()));
    };
    net::co_spawn(context, body(), rethrow);
    run_out(context);
  }
}

TEST_CASE("a limited send to a peer that does not read times out, and has sent nothing") {
  net::io_context context;
  connect_options small;
  small.ring_bytes = 4096;
  asio_pair pair = connected(context, {}, small);
  const std::string text(1000, 'x');
  int sent = 0, received = 0;
  const auto body = [&]() -> net::awaitable<void> {
    for (net_error_code error; !error; sent += error ? 0 : 1)
      co_await pair.client.async_send(net::buffer(text), 5ms,
                                      net::redirect_error(net::use_awaitable, error));
    net_error_code error;
    const std::string long_one(100'000, 'y');
    co_await pair.client.async_send(net::buffer(long_one), 5ms,
                                    net::redirect_error(net::use_awaitable, error));
    CHECK(error == net::error::timed_out);
    pair.client.close();
    while (const auto m = co_await pair.server.recv()) received += m->size() == 1000 ? 1 : 1000;
  };
  net::co_spawn(context, body(), rethrow);
  run_out(context);
  CHECK(sent > 0);
  CHECK(received == sent);
}

TEST_CASE(
    "a limit that has not passed, a cancellation and a closed channel do what they do without one") {
  net::io_context context;
  asio_pair pair = connected(context);
  net::cancellation_signal signal;
  net_error_code error;
  message got;
  pair.client.async_recv(
      patience, net::bind_cancellation_slot(signal.slot(), [&](net_error_code e, message m) {
        error = e;
        got = std::move(m);
      }));
  context.poll();
  signal.emit(net::cancellation_type::total);
  run_out(context);
  CHECK(error == net::error::operation_aborted);
  pair.client.async_recv(patience, [&](net_error_code e, message m) {
    error = e;
    got = std::move(m);
  });
  context.restart();
  context.poll();
  CHECK_FALSE(pair.server.try_send(net::buffer("x", 1)));
  run_out(context);  // the timer goes with the operation
  CHECK_FALSE(error);
  CHECK(got.text() == "x");
  pair.client.async_recv(patience, [&](net_error_code e, const message&) { error = e; });
  context.restart();
  context.poll();
  pair.client.close();
  run_out(context);
  CHECK(error == net::error::operation_aborted);
}

}  // TEST_SUITE("asio recipes")
