// SPDX-License-Identifier: BSL-1.0
// Who allows it, by an immediate executor (Asio 1.27), is called from within the initiating
// function. Nobody else is.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_operations.hpp"

TEST_SUITE("asio immediate") {

using namespace ringbell;
using namespace ringbell::test;

#if RINGBELL_ASIO_VERSION >= 102700

namespace {

/// Calls what it is given at once.
template <class Handler>
auto at_once(Handler&& handler) {
  return net::bind_immediate_executor(net::system_executor(), std::forward<Handler>(handler));
}

}  // namespace

TEST_CASE_TEMPLATE("an operation that need not wait is over before the initiating function returns",
                   Op, RINGBELL_CHANNEL_OPERATIONS) {
  bench b;
  completion<Op> c;
  Op::allow(b);
  Op::start(b, at_once(c.handler()));
  CHECK(c.succeeded(b));
  run_out(b.context);
  CHECK(c.calls == 1);
}

TEST_CASE_TEMPLATE("an operation that has to wait is over later", Op, RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  net::strand<net::io_context::executor_type> strand(b.context.get_executor());
  bool in_strand = false;
  Op::block(b);
  Op::start(b,
            at_once(net::bind_executor(strand, [&](const net_error_code& error, auto&&... values) {
              in_strand = strand.running_in_this_thread();
              c.set(error, std::forward<decltype(values)>(values)...);
            })));
  CHECK(c.calls == 0);
  b.settle();
  CHECK(c.calls == 0);
  Op::allow(b);
  run_out(b.context);
  CHECK(c.succeeded(b));
  CHECK(in_strand);
}

TEST_CASE_TEMPLATE("an object that is closed or busy says so at once", Op,
                   RINGBELL_OBJECT_OPERATIONS) {
  bench b;
  completion<Op> first, busy, closed;
  Op::block(b);
  Op::start(b, at_once(first.handler()));
  Op::start(b, at_once(busy.handler()));
  CHECK(busy.ended_with(errc::busy));
  CHECK(first.calls == 0);
  Op::close(b);
  CHECK(first.calls == 0);
  Op::start(b, at_once(closed.handler()));
  CHECK(closed.ended_with(net::error::bad_descriptor));
  run_out(b.context);
  CHECK(first.ended_with(net::error::operation_aborted));
}

TEST_CASE_TEMPLATE("the handler's own executor counts all the same", Op,
                   RINGBELL_CHANNEL_OPERATIONS) {
  bench b;
  completion<Op> c;
  net::strand<net::io_context::executor_type> strand(b.context.get_executor());
  bool in_strand = false;
  Op::allow(b);
  Op::start(b,
            at_once(net::bind_executor(strand, [&](const net_error_code& error, auto&&... values) {
              in_strand = strand.running_in_this_thread();
              c.set(error, std::forward<decltype(values)>(values)...);
            })));
  run_out(b.context);
  CHECK(c.succeeded(b));
  CHECK(in_strand);
}

TEST_CASE("an operation that is over at once leaves the slot alone") {
  bench b;
  completion<recv_operation> c;
  net::cancellation_signal signal;
  recv_operation::allow(b);
  b.near->async_recv(net::bind_cancellation_slot(signal.slot(), at_once(c.handler())));
  CHECK(c.succeeded(b));
  CHECK_FALSE(signal.slot().has_handler());
}

TEST_CASE("the next operation can be begun by a handler that is called at once") {
  bench b;
  std::vector<std::string> heard;
  for (const char* const text : {"one", "two"})
    REQUIRE_FALSE(b.far->try_send(net::buffer(text, 3)));
  completion<recv_operation> third;
  b.near->async_recv(at_once([&](net_error_code, const message& one) {
    heard.emplace_back(one.text());
    b.near->async_recv(at_once([&](net_error_code, const message& two) {
      heard.emplace_back(two.text());
      b.near->async_recv(at_once(third.handler()));
    }));
  }));
  CHECK(heard == std::vector<std::string>{"one", "two"});
  b.settle();
  CHECK(third.calls == 0);
  recv_operation::allow(b);
  run_out(b.context);
  CHECK(third.value->text() == "hello");
}

TEST_CASE("a handler that is called at once may close the channel") {
  bench b;
  int calls = 0;
  recv_operation::allow(b);
  b.near->async_recv(at_once([&](net_error_code error, const message& m) {
    CHECK_FALSE(error);
    b.near.reset();
    CHECK(m.text() == "hello");
    ++calls;
  }));
  CHECK(calls == 1);
}

#endif

// -- and otherwise --

TEST_CASE_TEMPLATE("what else a handler brings along does not let it be called at once", Op,
                   RINGBELL_CHANNEL_OPERATIONS) {
  for (const int with : {0, 1, 2, 3}) {
    CAPTURE(with);
    bench b;
    completion<Op> c;
    net::cancellation_signal signal;
    net_error_code error = net::error::already_started;
    Op::allow(b);
    const auto without_error = [&](auto&&... values) {
      c.set(error, std::forward<decltype(values)>(values)...);
    };
    const auto from_tuple = [&](auto&& all) { c.set(std::move(all)); };
    switch (with) {
      case 0: Op::start(b, net::bind_executor(b.context.get_executor(), c.handler())); break;
      case 1: Op::start(b, net::bind_cancellation_slot(signal.slot(), c.handler())); break;
      case 2: Op::start(b, net::redirect_error(without_error, error)); break;
      default: Op::start(b, test::as_tuple(from_tuple)); break;
    }
    CHECK(c.calls == 0);
    run_out(b.context);
    CHECK(c.succeeded(b));
  }
}

}  // TEST_SUITE("asio immediate")
