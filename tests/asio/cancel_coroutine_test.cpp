// SPDX-License-Identifier: BSL-1.0
// Coroutines that are cancelled: by another awaitable that ends sooner, or by a slot of their own.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <utility>

#include "support/asio_scene.hpp"
#include "support/silent_server.hpp"

TEST_SUITE("asio cancel_coroutine") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

namespace {

/// Runs a coroutine to its end; what it throws comes out.
template <class F>
void in_a_coroutine(net::io_context& context, F body) {
  net::co_spawn(context, std::move(body), rethrow);
  run_out(context);
}

net::steady_timer timer_of(net::io_context& context, net::steady_timer::duration after) {
  return net::steady_timer(context, after);
}

}  // namespace

TEST_CASE("with ||, the receive loses to a timer, and the next one gets the message") {
  scene s(phase::asleep, false);
  for (const spin_policy policy : {spin_policy::none, spin_policy::adaptive, spin_policy::always})
    for (const auto limit : {0us, 300us}) {
      CAPTURE(static_cast<int>(policy));
      CAPTURE(limit.count());
      s.client().spin(policy);
      in_a_coroutine(s.context, [&]() -> net::awaitable<void> {
        net::steady_timer timer = timer_of(s.context, limit);
        const auto first = co_await (s.client().async_recv(net::use_awaitable) ||
                                     timer.async_wait(net::use_awaitable));
        CHECK(first.index() == 1);
        timer.expires_after(limit);
        const auto second = co_await (s.client().recv() || timer.async_wait(net::use_awaitable));
        CHECK(second.index() == 1);
        s.from_server("message");
        timer.expires_after(20s);
        const auto third = co_await (s.client().async_recv(net::use_awaitable) ||
                                     timer.async_wait(net::use_awaitable));
        REQUIRE(third.index() == 0);
        CHECK(std::get<0>(third).text() == "message");
        s.from_server("another");
        timer.expires_after(20s);
        const auto fourth = co_await (s.client().recv() || timer.async_wait(net::use_awaitable));
        REQUIRE(fourth.index() == 0);
        CHECK(std::get<0>(fourth).value().text() == "another");
      });
    }
}

TEST_CASE("with ||, sends, claims and waits lose to a timer, and have done nothing") {
  for (const spin_policy policy : {spin_policy::none, spin_policy::always}) {
    scene s(phase::asleep);
    s.client().spin(policy);
    in_a_coroutine(s.context, [&]() -> net::awaitable<void> {
      net::steady_timer timer = timer_of(s.context, 300us);
      CHECK((co_await (s.client().async_send(net::buffer(s.bytes), net::use_awaitable) ||
                       timer.async_wait(net::use_awaitable)))
                .index() == 1);
      timer.expires_after(300us);
      CHECK((co_await (s.client().async_send(net::buffer(s.large), net::use_awaitable) ||
                       timer.async_wait(net::use_awaitable)))
                .index() == 1);
      timer.expires_after(300us);
      CHECK((co_await (s.client().async_claim(500, net::use_awaitable) ||
                       timer.async_wait(net::use_awaitable)))
                .index() == 1);
      timer.expires_after(300us);
      CHECK((co_await (s.client().async_wait(asio_channel::wait_recv | asio_channel::wait_send,
                                             net::use_awaitable) ||
                       timer.async_wait(net::use_awaitable)))
                .index() == 1);
      timer.expires_after(300us);
      CHECK(
          (co_await (s.client().send(net::buffer(s.bytes)) || timer.async_wait(net::use_awaitable)))
              .index() == 1);
    });
    s.goes_on();
  }
}

TEST_CASE("with ||, two directions of one channel are each other's alternative") {
  scene s(phase::asleep);
  in_a_coroutine(s.context, [&]() -> net::awaitable<void> {
    s.from_server("message");
    const auto first = co_await (s.client().async_recv(net::use_awaitable) ||
                                 s.client().async_send(net::buffer(s.bytes), net::use_awaitable));
    CHECK(first.index() == 0);
  });
  s.goes_on();
}

TEST_CASE("with ||, accept and connect lose to a timer") {
  const temporary_folder folder;
  net::io_context context;
  asio_listener listener(context, folder / "service");
  const sys::local_listener silent = silent_server(folder / "silent");
  in_a_coroutine(context, [&]() -> net::awaitable<void> {
    const net::any_io_executor here = context.get_executor();
    net::steady_timer timer = timer_of(context, 300us);
    CHECK((co_await (listener.async_accept(net::use_awaitable) ||
                     timer.async_wait(net::use_awaitable)))
              .index() == 1);
    timer.expires_after(3ms);
    CHECK((co_await (async_connect(here, folder / "nobody", net::use_awaitable) ||
                     timer.async_wait(net::use_awaitable)))
              .index() == 1);
    timer.expires_after(3ms);
    CHECK((co_await (async_connect(here, folder / "silent", net::use_awaitable) ||
                     timer.async_wait(net::use_awaitable)))
              .index() == 1);
    timer.expires_after(20s);
    const auto both = co_await (listener.async_accept(net::use_awaitable) &&
                                async_connect(here, folder / "service", net::use_awaitable));
    CHECK(std::get<0>(both).is_open());
    CHECK(std::get<1>(both).is_open());
  });
}

TEST_CASE("a coroutine is cancelled by its own slot, in whatever it waits for") {
  for (const phase at : all_phases) {
    CAPTURE(at);
    scene s(at);
    net::cancellation_signal signal;
    int aborted = 0;
    bool ended = false;
    net::co_spawn(
        s.context,
        [&]() -> net::awaitable<void> {
          co_await net::this_coro::throw_if_cancelled(false);
          for (int step = 0; step < 5; ++step) {
            try {
              if (step == 0) co_await s.client().async_recv(net::use_awaitable);
              if (step == 1) co_await s.client().recv();
              if (step == 2)
                co_await s.client().async_send(net::buffer(s.bytes), net::use_awaitable);
              if (step == 3) co_await s.client().send(net::buffer(s.large));
              if (step == 4) co_await s.client().async_claim(500, net::use_awaitable);
            } catch (const net_system_error& e) {
              if (e.code() == net::error::operation_aborted) ++aborted;
            }
            co_await net::this_coro::reset_cancellation_state(net::enable_total_cancellation());
          }
        },
        net::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) {
          rethrow(e);
          ended = true;
        }));
    for (int step = 0; step < 5; ++step) {
      if (step == 0) {
        s.context.poll_one();
        // Until the coroutine says otherwise, it hears of terminal cancellation only.
        signal.emit(net::cancellation_type::total);
        signal.emit(net::cancellation_type::partial);
        for (int turns = 0; turns < 6; ++turns) s.context.poll_one();
        CHECK(aborted == 0);
      }
      s.proceed();
      signal.emit(step % 2 == 0 ? net::cancellation_type::terminal : net::cancellation_type::total);
      REQUIRE(run_until(s.context, [&] { return aborted == step + 1; }));
    }
    REQUIRE(run_until(s.context, [&] { return ended; }));
    CHECK(aborted == 5);
    run_out(s.context);
    s.goes_on();
  }
}

TEST_CASE("a coroutine that was cancelled before it waits does not receive") {
  scene s(phase::asleep, false);
  s.from_server("message");
  net::cancellation_signal signal;
  outcome ended;
  net::co_spawn(
      s.context,
      [&]() -> net::awaitable<void> {
        co_await net::post(s.context, net::use_awaitable);
        signal.emit(
            net::cancellation_type::terminal);  // by somebody else, while it does something else
        co_await s.client().async_recv(net::use_awaitable);
      },
      net::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) {
        try {
          rethrow(e);
          ended({});
        } catch (const net_system_error& error) {
          ended(error.code());
        }
      }));
  run_out(s.context);
  CHECK(ended.aborted());
  CHECK(s.at_client() == "message");
}

#endif

}  // TEST_SUITE("asio cancel_coroutine")
