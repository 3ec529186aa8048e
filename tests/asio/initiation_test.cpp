// SPDX-License-Identifier: BSL-1.0
// What beginning an operation does at once, and what not: handlers are called later, and a
// direction has one operation.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "support/asio.hpp"
#include "support/asio_operations.hpp"

TEST_SUITE("asio initiation") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

/// Where an operation is begun: calls `begin` once.
struct place {
  const char* name;
  void (*run)(bench&, const std::function<void()>& begin);
};

const place all_places[] = {
    {"outside of the context", [](bench&, const std::function<void()>& begin) { begin(); }},
    {"in a thread that runs the context",
     [](bench& b, const std::function<void()>& begin) {
       bool begun = false;
       net::post(b.context, [&] {
         begin();
         begun = true;
       });
       run_until(b.context, [&] { return begun; });
     }},
    {"in a coroutine on a strand",
     [](bench& b, const std::function<void()>& begin) {
       bool begun = false;
       const auto body = [&]() -> net::awaitable<void> {
         begin();
         begun = true;
         co_return;
       };
       net::co_spawn(net::make_strand(b.context), body, rethrow);
       run_until(b.context, [&] { return begun; });
     }},
};

/// Begins an operation everywhere, after `prepare`, and looks that its handler is called once,
/// later, with that error.
template <class Op, class F>
void check_is_called_later(net_error_code with, F prepare) {
  for (const place& where : all_places) {
    CAPTURE(std::string(where.name));
    bench b;
    completion<Op> c;
    prepare(b);
    int during = -1;
    where.run(b, [&] {
      Op::start(b, c.handler());
      during = c.calls;
    });
    CHECK(during == 0);
    CHECK(run_until(b.context, [&] { return c.calls != 0; }));
    CHECK(c.ended_with(with));
  }
}

}  // namespace

// -- when handlers are called --

TEST_CASE_TEMPLATE(
    "no handler is called by the initiating function when the operation could complete at once", Op,
    RINGBELL_ALL_OPERATIONS) {
  check_is_called_later<Op>({}, [](bench& b) { Op::allow(b); });
}

TEST_CASE_TEMPLATE("no handler is called by the initiating function when the operation has to wait",
                   Op, RINGBELL_ALL_OPERATIONS) {
  for (const place& where : all_places) {
    CAPTURE(std::string(where.name));
    bench b;
    completion<Op> c;
    Op::block(b);
    int during = -1;
    where.run(b, [&] {
      Op::start(b, c.handler());
      during = c.calls;
    });
    CHECK(during == 0);
    b.settle();
    CHECK(c.calls == 0);
    Op::allow(b);
    run_out(b.context);
    CHECK(c.succeeded(b));
  }
}

TEST_CASE_TEMPLATE("no handler is called by the initiating function when the object is closed", Op,
                   RINGBELL_OBJECT_OPERATIONS) {
  check_is_called_later<Op>(net::error::bad_descriptor, [](bench& b) { Op::close(b); });
}

TEST_CASE_TEMPLATE("no handler is called by the initiating function when the object is busy", Op,
                   RINGBELL_OBJECT_OPERATIONS) {
  completion<Op> first;
  check_is_called_later<Op>(errc::busy, [&](bench& b) {
    first = {};
    Op::block(b);
    Op::start(b, first.handler());
  });
  CHECK(first.calls == 0);
}

// -- one of a kind at a time --

TEST_CASE_TEMPLATE("a second operation of the same direction is busy, and the first goes on", Op,
                   RINGBELL_OBJECT_OPERATIONS) {
  for (const bool asleep : {false, true}) {
    CAPTURE(asleep);
    bench b;
    completion<Op> first, second, third;
    Op::block(b);
    Op::start(b, first.handler());
    if (asleep) b.settle();
    Op::start(b, second.handler());
    run_until(b.context, [&] { return second.calls != 0; });
    CHECK(second.ended_with(errc::busy));
    CHECK(first.calls == 0);
    Op::allow(b);
    run_out(b.context);
    CHECK(first.succeeded(b));
    CHECK(second.calls == 1);

    first.value.reset();
    b.others.clear();
    Op::allow(b);
    Op::start(b, third.handler());
    run_out(b.context);
    CHECK(third.ended_with({}));
  }
}

namespace {

template <class First, class Second>
void check_directions(bool conflict) {
  bench b;
  completion<First> first;
  completion<Second> second;
  First::block(b);
  Second::block(b);
  First::start(b, first.handler());
  b.settle();
  Second::start(b, second.handler());
  b.settle();
  CHECK(first.calls == 0);
  CHECK(second.calls == (conflict ? 1 : 0));
  First::allow(b);
  Second::allow(b);
  run_out(b.context);
  CHECK(first.ended_with({}));
  CHECK(second.ended_with(conflict ? net_error_code(errc::busy) : net_error_code()));
}

struct wait_both_operation : wait_operation<true> {
  template <class Token>
  static auto start(bench& b, Token&& token) {
    return b.near->async_wait(asio_channel::wait_recv | asio_channel::wait_send,
                              std::forward<Token>(token));
  }
  static void block(bench& b) { wait_send_operation::block(b); }
};

template <class First>
void check_receiving() {
  check_directions<First, recv_operation>(true);
  check_directions<First, recv_into_operation>(true);
  check_directions<First, wait_recv_operation>(true);
  check_directions<First, wait_both_operation>(true);
  check_directions<First, send_operation>(false);
  check_directions<First, claim_operation>(false);
  check_directions<First, wait_send_operation>(false);
}

template <class First>
void check_sending() {
  check_directions<First, send_operation>(true);
  check_directions<First, claim_operation>(true);
  check_directions<First, wait_send_operation>(true);
  check_directions<First, wait_both_operation>(true);
  check_directions<First, recv_operation>(false);
  check_directions<First, recv_into_operation>(false);
  check_directions<First, wait_recv_operation>(false);
}

}  // namespace

TEST_CASE_TEMPLATE(
    "whatever receives is in the way of whatever receives, and of nothing that sends", Op,
    recv_operation, recv_into_operation, wait_recv_operation) {
  check_receiving<Op>();
}

TEST_CASE_TEMPLATE("whatever sends is in the way of whatever sends, and of nothing that receives",
                   Op, send_operation, claim_operation, wait_send_operation) {
  check_sending<Op>();
}

TEST_CASE("a wait for either is in the way of all") {
  check_directions<wait_both_operation, recv_operation>(true);
  check_directions<wait_both_operation, recv_into_operation>(true);
  check_directions<wait_both_operation, wait_recv_operation>(true);
  check_directions<wait_both_operation, send_operation>(true);
  check_directions<wait_both_operation, claim_operation>(true);
  check_directions<wait_both_operation, wait_send_operation>(true);
  check_directions<wait_both_operation, wait_both_operation>(true);
}

TEST_CASE("the try functions are busy while an operation of their direction is pending") {
  bench b;
  net_error_code error;
  const net_error_code busy = errc::busy;
  send_operation::block(b);
  completion<recv_operation> received;
  completion<send_operation> sent;
  b.near->async_recv(received.handler());
  b.settle();
  CHECK(b.near->try_recv(error).data() == nullptr);
  CHECK(error == busy);
  CHECK(b.near->try_send(net::buffer(b.bytes)) == net::error::would_block);
  b.near->async_send(net::buffer(b.bytes), sent.handler());
  b.settle();
  CHECK(b.near->try_send(net::buffer("x", 1)) == busy);
  CHECK_FALSE(b.near->try_claim(1, error));
  CHECK(error == busy);
  CHECK(received.calls + sent.calls == 0);
  recv_operation::allow(b);
  send_operation::allow(b);
  run_out(b.context);
  CHECK(received.ended_with({}));
  CHECK(received.value->text() == "hello");
  CHECK(sent.succeeded(b));
}

TEST_CASE("sending is busy while a claim is held, and goes on when it was given up") {
  bench b;
  net_error_code error;
  completion<send_operation> sent;
  claim held = b.near->try_claim(10, error);
  REQUIRE(held);
  CHECK(b.near->try_send(net::buffer("x", 1)) == errc::busy);
  CHECK_FALSE(b.near->try_claim(1, error));
  CHECK(error == errc::busy);
  b.near->async_send(net::buffer(b.bytes), sent.handler());
  run_out(b.context);
  CHECK(sent.ended_with(errc::busy));
  held.abandon();
  sent = {};
  b.near->async_send(net::buffer(b.bytes), sent.handler());
  run_out(b.context);
  CHECK(sent.succeeded(b));
}

TEST_CASE("the next operation can be begun by the handler of the one before") {
  bench b;
  int received = 0;
  std::function<void()> receive = [&] {
    b.near->async_recv([&](net_error_code error, const message& m) {
      CHECK_FALSE(error);
      CHECK(m.text() == "hello");
      if (++received < 100) receive();
    });
  };
  int sent = 0;
  std::function<void()> send = [&] {
    b.far->async_send(net::buffer("hello", 5), [&](net_error_code error) {
      CHECK_FALSE(error);
      if (++sent < 100) send();
    });
  };
  receive();
  send();
  run_out(b.context);
  CHECK(received == 100);
  CHECK(sent == 100);
}

TEST_CASE_TEMPLATE("what a handler throws comes out of run(), and the object goes on", Op,
                   RINGBELL_OBJECT_OPERATIONS) {
  bench b;
  completion<Op> c;
  Op::allow(b);
  Op::start(b, [](const net_error_code&, auto&&...) { throw std::string("thrown by a handler"); });
  bool thrown = false;
  try {
    run_out(b.context);
  } catch (const std::string& what) {
    thrown = what == "thrown by a handler";
  }
  CHECK(thrown);
  run_out(b.context);
  b.others.clear();
  Op::allow(b);
  Op::start(b, c.handler());
  run_out(b.context);
  CHECK(c.ended_with({}));
}

}  // TEST_SUITE("asio initiation")
