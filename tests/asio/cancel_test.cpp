// SPDX-License-Identifier: BSL-1.0
// A cancelled operation has done nothing, says so once, and leaves the channel as it was.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/asio_scene.hpp"
#include "support/raw_peer.hpp"
#include "support/resources.hpp"

TEST_SUITE("asio cancel") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

connect_options patient() {
  connect_options o;
  o.timeout = 100s;
  return o;
}

/// A server's socket that nobody looks at: who connects gets no answer.
sys::local_listener silent_server(const std::string& path) {
  std::error_code error;
  sys::local_listener silent = sys::local_listener::bind(path, false, error);
  REQUIRE_FALSE(error);
  return silent;
}

/// Checks that a listener and a connect find each other.
void meet(net::io_context& context, asio_listener& listener, const std::string& path) {
  outcome accepted, connected;
  listener.async_accept([&](net_error_code error, asio_channel ch) {
    CHECK(ch.is_open() == !error);
    accepted(error);
  });
  async_connect(context, path, [&](net_error_code error, asio_channel ch) {
    CHECK(ch.is_open() == !error);
    connected(error);
  });
  run_out(context);
  CHECK(accepted.succeeded());
  CHECK(connected.succeeded());
}

}  // namespace

TEST_CASE("an operation that is cancelled by its signal ends once, and has done nothing") {
  for (const operation& op : all_operations)
    for (const phase at : all_phases)
      for (const auto type : all_cancellation_types)
        for (const bool ready : {false, true}) {
          CAPTURE(op);
          CAPTURE(at);
          CAPTURE(static_cast<int>(type));
          CAPTURE(ready);  // what it waits for has come already, and it has not looked since
          scene s(at);
          net::cancellation_signal signal;
          outcome ended;
          op.start(s, signal.slot(), ended.handler());
          s.proceed();
          REQUIRE(ended.calls == 0);
          if (ready && op.receives) s.from_server("came before the cancel");
          if (ready && op.sends) s.drain();
          signal.emit(type);
          CHECK(ended.calls == 0);  // never within emit
          run_out(s.context);
          CHECK(ended.aborted());
          if (ready && op.receives) CHECK(s.at_client() == "came before the cancel");
          s.goes_on();
        }
}

TEST_CASE("any mixture of cancellation types cancels, and none at all does not") {
  scene s(phase::asleep);
  for (const operation& op : all_operations) {
    CAPTURE(op);
    net::cancellation_signal signal;
    outcome ended;
    op.start(s, signal.slot(), ended.handler());
    s.proceed();
    signal.emit(net::cancellation_type::none);
    s.proceed();
    CHECK(ended.calls == 0);
    signal.emit(net::cancellation_type::all);
    run_out(s.context);
    CHECK(ended.aborted());
  }
  s.goes_on();
}

TEST_CASE(
    "a send that is cancelled half-way shows the peer nothing, and the next message arrives intact") {
  for (const phase at : all_phases)
    for (const auto type : all_cancellation_types)
      for (const bool peer_reads : {false, true}) {
        CAPTURE(at);
        CAPTURE(static_cast<int>(type));
        CAPTURE(peer_reads);
        scene s(at, false);
        net::cancellation_signal signal;
        outcome sent, sent_next;
        bool arrived = false;
        s.client().async_send(net::buffer(s.large),
                              net::bind_cancellation_slot(signal.slot(), sent.handler()));
        if (at != phase::not_run) s.context.poll_one();  // fills the ring
        if (peer_reads) {
          net_error_code nothing_whole;
          s.server().try_recv(nothing_whole);
          CHECK(nothing_whole == net::error::would_block);
        }
        s.proceed();
        REQUIRE(sent.calls == 0);
        signal.emit(type);
        const auto next = patterned(50'000, 3);
        s.client().async_send(net::buffer(next), sent_next.handler());
        s.server().async_recv([&](net_error_code error, const message& m) {
          REQUIRE_FALSE(error);
          CHECK(m.size() == next.size());
          CHECK(matches(m.bytes(), 3));
          arrived = true;
        });
        run_out(s.context);
        CHECK(sent.aborted());
        CHECK(sent_next.succeeded());
        CHECK(arrived);
        CHECK(s.client().statistics().messages_sent == 1);
        CHECK(s.server().statistics().messages_received == 1);
      }
}

TEST_CASE(
    "a signal that is emitted after the operation has ended does nothing, not to the next one either") {
  for (const operation& op : all_operations) {
    CAPTURE(op);
    scene s(phase::asleep);
    net::cancellation_signal signal, signal_of_next;
    outcome ended, next;
    op.start(s, signal.slot(), ended.handler());
    s.proceed();
    if (op.receives) s.from_server("message");
    REQUIRE(run_until(s.context, [&] {
      if (op.sends && ended.calls == 0) s.drain();
      return ended.calls != 0;
    }));
    CHECK(ended.succeeded());
    CHECK_FALSE(signal.slot().has_handler());
    s.client().async_recv(net::bind_cancellation_slot(
        signal_of_next.slot(), [&](net_error_code error, const message&) { next(error); }));
    signal.emit(net::cancellation_type::all);
    s.proceed();
    const bool got_it_already = std::string(op.name).starts_with("async_wait") &&
                                op.receives;  // a wait leaves the message to others
    CHECK(next.calls == (got_it_already ? 1 : 0));
    signal_of_next.emit(net::cancellation_type::all);
    run_out(s.context);
    CHECK(next.calls == 1);
    CHECK(ended.calls == 1);
  }
}

TEST_CASE("a handler may emit the signal of its own operation, and destroy it") {
  for (const operation& op : all_operations)
    for (const bool cancelled : {false, true}) {
      CAPTURE(op);
      CAPTURE(cancelled);
      scene s(phase::asleep);
      outcome ended;
      auto signal = std::make_unique<net::cancellation_signal>();
      op.start(s, signal->slot(), [&](net_error_code error) {
        ended(error);
        signal->emit(net::cancellation_type::all);
        signal.reset();
      });
      s.proceed();
      if (cancelled)
        signal->emit(net::cancellation_type::total);
      else
        s.client().close();
      run_out(s.context);
      CHECK(ended.aborted());
    }
}

TEST_CASE(
    "a signal may be emitted and destroyed after the channel, the operation and the context are gone") {
  for (const operation& op : all_operations)
    for (const phase at : all_phases)
      for (const bool handler_runs : {false, true}) {
        CAPTURE(op);
        CAPTURE(at);
        CAPTURE(handler_runs);
        net::cancellation_signal signal;
        outcome ended;
        {
          scene s(at);
          op.start(s, signal.slot(), ended.handler());
          s.proceed();
          s.client().close();
          signal.emit(net::cancellation_type::total);
          if (handler_runs) {
            run_out(s.context);
            CHECK(ended.aborted());
            signal.emit(net::cancellation_type::total);
          }
        }
        signal.emit(net::cancellation_type::total);
        CHECK(ended.calls == (handler_runs ? 1 : 0));
      }
}

TEST_CASE("a signal may outlive the context of an accept and of a connect") {
  for (const bool sleeping : {false, true})
    for (const bool emit : {false, true}) {
      CAPTURE(sleeping);
      CAPTURE(emit);
      const temporary_folder folder;
      const auto before = open_descriptors();
      {
        net::cancellation_signal of_accept, of_connect;
        {
          net::io_context context;
          asio_listener listener(context, folder / "service");
          listener.async_accept(net::bind_cancellation_slot(
              of_accept.slot(), [](net_error_code, const asio_channel&) { FAIL("nobody came"); }));
          async_connect(context, folder / "nobody", patient(),
                        net::bind_cancellation_slot(
                            of_connect.slot(),
                            [](net_error_code, const asio_channel&) { FAIL("nobody listens"); }));
          if (sleeping) context.poll();
        }
        if (emit) {
          of_accept.emit(net::cancellation_type::total);
          of_connect.emit(net::cancellation_type::total);
        }
      }
      CHECK(open_descriptors() == before);
    }
}

TEST_CASE(
    "a slot can be used for the next operation before the handler of the cancelled one was called") {
  for (const operation& op : all_operations)
    for (const phase at : all_phases)
      for (const bool by_signal : {false, true}) {
        CAPTURE(op);
        CAPTURE(at);
        CAPTURE(by_signal);
        scene s(at);
        net::cancellation_signal signal;
        outcome first, second;
        op.start(s, signal.slot(), first.handler());
        s.proceed();
        if (by_signal)
          signal.emit(net::cancellation_type::total);
        else
          s.client().cancel();
        op.start(s, signal.slot(), second.handler());
        REQUIRE(run_until(s.context, [&] { return first.calls != 0; }));
        CHECK(first.aborted());
        CHECK(second.calls == 0);
        signal.emit(net::cancellation_type::total);
        s.client().spin(spin_policy::none);  // else one that is not cancelled would poll for ever
        s.proceed();
        s.context.poll();
        CHECK(second.aborted());
        s.client().cancel();
        run_out(s.context);
        s.goes_on();
      }
}

TEST_CASE("cancelling one direction leaves the other pending") {
  for (const phase at : all_phases)
    for (const bool cancel_receiving : {false, true}) {
      CAPTURE(at);
      CAPTURE(cancel_receiving);
      scene s(at);
      net::cancellation_signal of_recv, of_send;
      outcome received, sent;
      s.client().async_recv(
          net::bind_cancellation_slot(of_recv.slot(), [&](net_error_code error, const message& m) {
            received(error);
            if (!error) CHECK(m.text() == "for the one that goes on");
          }));
      s.client().async_send(net::buffer(s.bytes),
                            net::bind_cancellation_slot(of_send.slot(), sent.handler()));
      s.proceed();
      (cancel_receiving ? of_recv : of_send).emit(net::cancellation_type::total);
      outcome& cancelled = cancel_receiving ? received : sent;
      outcome& pending = cancel_receiving ? sent : received;
      REQUIRE(run_until(s.context, [&] { return cancelled.calls != 0; }));
      CHECK(cancelled.aborted());
      s.context.poll_one();
      CHECK(pending.calls == 0);
      std::size_t drained = 0;
      if (cancel_receiving)
        drained = s.drain();
      else
        s.from_server("for the one that goes on");
      run_out(s.context);
      CHECK(pending.succeeded());
      CHECK(cancelled.calls == 1);
      CHECK(s.client().statistics().messages_sent == (cancel_receiving ? drained + 1 : s.drain()));
    }
}

TEST_CASE(
    "after cancel() the same operation can be started at once, and both handlers are called once") {
  for (const operation& op : all_operations)
    for (const phase at : all_phases) {
      CAPTURE(op);
      CAPTURE(at);
      scene s(at);
      outcome first, second;
      op.start(s, {}, first.handler());
      s.proceed();
      s.client().cancel();
      op.start(s, {}, second.handler());
      s.proceed();
      REQUIRE(run_until(s.context, [&] { return first.calls != 0; }));
      CHECK(first.aborted());
      CHECK(second.calls == 0);
      if (op.receives) s.from_server("message");
      REQUIRE(run_until(s.context, [&] {
        if (op.sends && second.calls == 0) s.drain();
        return second.calls != 0;
      }));
      run_out(s.context);
      CHECK(first.aborted());
      CHECK(second.succeeded());
    }
}

TEST_CASE(
    "after close_send() a receive can be started, also when a wait for either direction was pending") {
  scene s(phase::asleep);
  outcome waited, received;
  s.client().async_wait(asio_channel::wait_recv | asio_channel::wait_send, waited.handler());
  s.proceed();
  s.client().close_send();
  s.client().async_recv([&](net_error_code error, const message&) { received(error); });
  s.from_server("message");
  run_out(s.context);
  CHECK(waited.aborted());
  CHECK(received.succeeded());
}

TEST_CASE("cancel() with nothing pending does nothing") {
  scene s(phase::asleep);
  s.client().cancel();
  s.server().cancel();
  s.goes_on();
  s.client().close();
  s.client().cancel();
}

TEST_CASE("a cancelled accept loses no client") {
  for (const bool sleeping : {false, true})
    for (const auto type : all_cancellation_types)
      for (const int client : {0, 1, 2}) {
        CAPTURE(sleeping);
        CAPTURE(static_cast<int>(type));
        CAPTURE(
            client);  // there is none; one that has connected; one that has been welcomed as well
        const temporary_folder folder;
        net::io_context context, of_client;
        asio_listener listener(context, folder / "service");
        net::cancellation_signal signal;
        outcome ended;
        listener.async_accept(net::bind_cancellation_slot(
            signal.slot(), [&](net_error_code error, const asio_channel& ch) {
              CHECK_FALSE(ch.is_open());
              ended(error);
            }));
        if (sleeping) context.poll();
        std::optional<asio_channel> connected;
        if (client != 0) {
          async_connect(of_client, folder / "service", patient(),
                        [&](net_error_code error, asio_channel ch) {
                          REQUIRE_FALSE(error);
                          connected = std::move(ch);
                        });
          of_client.poll();
        }
        if (client == 2) {
          // Two accepts take two clients: so the second is welcomed, and waits, when the first has
          // been accepted.
          outcome other;
          signal.emit(type);
          context.poll();
          CHECK(ended.aborted());
          ended = {};
          async_connect(of_client, folder / "service", patient(),
                        [&](net_error_code error, asio_channel) { other(error); });
          of_client.poll();
          listener.async_accept(
              [](net_error_code error, const asio_channel&) { CHECK_FALSE(error); });
          run_out(context);
          run_out(of_client);
          CHECK(other.succeeded());
          CHECK(connected);
          listener.async_accept(net::bind_cancellation_slot(
              signal.slot(), [&](net_error_code error, const asio_channel&) { ended(error); }));
        }
        signal.emit(type);
        CHECK(ended.calls == 0);
        context.poll();
        context.restart();
        CHECK(ended.aborted());
        if (client != 0) {
          outcome accepted;
          listener.async_accept([&](net_error_code error, asio_channel ch) {
            accepted(error);
            // Said by the client below, if it is the one that was left.
            ch.close();
          });
          run_out(context);
          run_out(of_client);
          CHECK(accepted.succeeded());
          CHECK(connected);
        }
        meet(context, listener, folder / "service");
      }
}

TEST_CASE("cancel() of a listener ends its accept, and the next one can be started at once") {
  for (const bool sleeping : {false, true}) {
    CAPTURE(sleeping);
    const temporary_folder folder;
    net::io_context context;
    asio_listener listener(context, folder / "service");
    outcome first;
    listener.async_accept([&](net_error_code error, const asio_channel&) { first(error); });
    if (sleeping) context.poll();
    listener.cancel();
    CHECK(first.calls == 0);
    meet(context, listener, folder / "service");
    CHECK(first.aborted());
  }
}

TEST_CASE("a cancelled connect leaves nothing behind") {
  for (const bool somebody_silent : {false, true})
    for (const auto type : all_cancellation_types)
      for (const int turns : {0, 1, 100}) {
        CAPTURE(somebody_silent);
        CAPTURE(static_cast<int>(type));
        CAPTURE(turns);
        const temporary_folder folder;
        net::io_context context;
        {
          asio_listener warm_up(context, folder / "warm-up");  // the context's own descriptors
          meet(context, warm_up, folder / "warm-up");
        }
        const auto before = resources::now();
        {
          std::optional<sys::local_listener> silent;
          if (somebody_silent) silent.emplace(silent_server(folder / "service"));
          net::cancellation_signal signal;
          outcome ended;
          async_connect(context, folder / "service", patient(),
                        net::bind_cancellation_slot(
                            signal.slot(), [&](net_error_code error, const asio_channel& ch) {
                              CHECK_FALSE(ch.is_open());
                              ended(error);
                            }));
          // A connect that finds nobody tries again a millisecond later: also then it can be
          // cancelled.
          for (int turn = 0; turn < turns; ++turn) context.run_one_for(turns == 1 ? 20ms : 200us);
          REQUIRE(ended.calls == 0);
          signal.emit(type);
          CHECK(ended.calls == 0);
          run_out(context);
          CHECK(ended.aborted());
          signal.emit(type);
          if (silent) {
            // The connection, if it was made, was hung up on.
            std::error_code error;
            raw_peer never_answered(silent->accept(error));
            CHECK(static_cast<bool>(error) == (turns == 0));
            if (!error) CHECK(never_answered.hangs_up());
          }
        }
        const auto after = resources::now();
        CHECK(after.descriptors == before.descriptors);
        CHECK(after.regions == before.regions);
        asio_listener listener(context, folder / "service");
        meet(context, listener, folder / "service");
      }
}

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

#if RINGBELL_ASIO_VERSION >= 103100

TEST_CASE("cancel_after ends an operation in time, which has then done nothing") {
  for (const phase at : all_phases) {
    CAPTURE(at);
    scene s(at);
    outcome received, sent, claimed, waited;
    s.client().async_recv(
        net::cancel_after(1ms, [&](net_error_code error, const message&) { received(error); }));
    s.client().async_send(net::buffer(s.large), net::cancel_after(1ms, sent.handler()));
    s.proceed();
    run_out(s.context);
    CHECK(received.aborted());
    CHECK(sent.aborted());
    s.client().async_claim(
        500, net::cancel_after(1ms, [&](net_error_code error, const claim&) { claimed(error); }));
    run_out(s.context);
    CHECK(claimed.aborted());
    s.client().async_wait(asio_channel::wait_recv | asio_channel::wait_send,
                          net::cancel_after(1ms, waited.handler()));
    run_out(s.context);
    CHECK(waited.aborted());
    s.goes_on();
  }
}

TEST_CASE("cancel_after does nothing to an operation that ends sooner") {
  scene s(phase::asleep, false);
  outcome received;
  s.client().async_recv(net::cancel_after(20s, [&](net_error_code error, const message& m) {
    received(error);
    CHECK(m.text() == "message");
  }));
  s.from_server("message");
  run_out(s.context);
  CHECK(received.succeeded());
  s.goes_on();
}

TEST_CASE("cancel_after ends an accept and a connect") {
  const temporary_folder folder;
  net::io_context context;
  asio_listener listener(context, folder / "service");
  outcome accepted, connected;
  listener.async_accept(
      net::cancel_after(1ms, [&](net_error_code error, const asio_channel&) { accepted(error); }));
  async_connect(
      context, folder / "nobody", patient(),
      net::cancel_after(1ms, [&](net_error_code error, const asio_channel&) { connected(error); }));
  run_out(context);
  CHECK(accepted.aborted());
  CHECK(connected.aborted());
  meet(context, listener, folder / "service");
}

#endif

}  // TEST_SUITE("asio cancel")
