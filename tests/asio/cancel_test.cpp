// SPDX-License-Identifier: BSL-1.0
// A cancelled operation has done nothing, says so once, and leaves the channel as it was.
// cancel_connect_test.cpp has accepts and connects, cancel_coroutine_test.cpp has coroutines.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "support/asio_scene.hpp"

TEST_SUITE("asio cancel") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

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

#endif

}  // TEST_SUITE("asio cancel")
