// SPDX-License-Identifier: BSL-1.0
// Every operation with every kind of completion token.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_operations.hpp"

// Asio knows a token by a specialization, which stands outside of all other namespaces.
namespace ringbell::test {

/// A token of the user's own: puts the outcome into an object.
template <class Op>
struct into {
  completion<Op>* to;
};

/// The handler that it stands for.
template <class Op>
struct into_handler {
  completion<Op>* to;
  template <class... Values>
  void operator()(const net_error_code& error, Values&&... values) {
    to->set(error, std::forward<Values>(values)...);
  }
};

}  // namespace ringbell::test

template <class Op, class R, class... Arguments>
class ringbell::net::async_result<ringbell::test::into<Op>, R(Arguments...)> {
public:
  using return_type = std::unique_ptr<ringbell::test::completion<Op>*>;
  template <class Initiation, class... Rest>
  static return_type initiate(Initiation&& initiation, ringbell::test::into<Op> token,
                              Rest&&... rest) {
    std::forward<Initiation>(initiation)(ringbell::test::into_handler<Op>{token.to},
                                         std::forward<Rest>(rest)...);
    return std::make_unique<ringbell::test::completion<Op>*>(token.to);
  }
};

TEST_SUITE("asio tokens") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

/// Can be moved, and called once.
template <class Op>
class one_shot {
public:
  explicit one_shot(completion<Op>& to) : to_(std::make_unique<completion<Op>*>(&to)) {}
  template <class... Values>
  void operator()(const net_error_code& error, Values&&... values) && {
    (*std::exchange(to_, nullptr))->set(error, std::forward<Values>(values)...);
  }

private:
  std::unique_ptr<completion<Op>*> to_;
};

/// A buffer sequence that knows which threads have looked at it.
class watched_buffer {
public:
  using value_type = net::const_buffer;
  using const_iterator = const net::const_buffer*;
  watched_buffer(net::const_buffer buffer, std::vector<std::thread::id>& by)
      : buffer_(buffer), by_(&by) {}
  const_iterator begin() const {
    by_->push_back(std::this_thread::get_id());
    return &buffer_;
  }
  const_iterator end() const { return &buffer_ + 1; }

private:
  net::const_buffer buffer_;
  std::vector<std::thread::id>* by_;
};

template <class Op, class Token>
net::awaitable<void> await_value(bench& b, Token token, completion<Op>& c) {
  net_error_code none;
  if constexpr (gives_value<Op>) {
    c.set(none, co_await Op::start(b, std::move(token)));
  } else {
    co_await Op::start(b, std::move(token));
    c.set(none);
  }
}

template <class Op, class Token>
net::awaitable<void> await_tuple(bench& b, Token token, completion<Op>& c) {
  c.set(co_await Op::start(b, std::move(token)));
}

template <class Op>
net::awaitable<void> await_redirected(bench& b, completion<Op>& c) {
  net_error_code error = net::error::already_started;
  if constexpr (gives_value<Op>) {
    auto value = co_await Op::start(b, net::redirect_error(net::use_awaitable, error));
    c.set(error, std::move(value));
  } else {
    co_await Op::start(b, net::redirect_error(net::use_awaitable, error));
    c.set(error);
  }
}

/// Runs a coroutine, which has to wait before it is allowed to go on.
template <class Op>
void run_blocked(bench& b, net::awaitable<void> coroutine) {
  Op::block(b);
  net::co_spawn(b.context, std::move(coroutine), rethrow);
  b.settle();
  Op::allow(b);
  run_out(b.context);
}

}  // namespace

TEST_CASE_TEMPLATE("a callback", Op, RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  Op::block(b);
  Op::start(b, c.handler());
  b.settle();
  CHECK(c.calls == 0);
  Op::allow(b);
  run_out(b.context);
  CHECK(c.succeeded(b));
}

TEST_CASE_TEMPLATE("a callback that can only be moved, and called once", Op,
                   RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  Op::block(b);
  Op::start(b, one_shot<Op>(c));
  b.settle();
  Op::allow(b);
  run_out(b.context);
  CHECK(c.succeeded(b));
}

TEST_CASE_TEMPLATE("a callback that stays where it is, and is copied", Op,
                   RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  const auto handler = c.handler();
  Op::allow(b);
  Op::start(b, handler);
  run_out(b.context);
  CHECK(c.succeeded(b));
}

TEST_CASE_TEMPLATE("use_awaitable", Op, RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  run_blocked<Op>(b, await_value(b, net::use_awaitable, c));
  CHECK(c.succeeded(b));
}

TEST_CASE_TEMPLATE("use_awaitable throws the error", Op, RINGBELL_OBJECT_OPERATIONS) {
  bench b;
  completion<Op> c;
  Op::close(b);
  net::co_spawn(b.context, await_value(b, net::use_awaitable, c), rethrow);
  try {
    run_out(b.context);
    FAIL("nothing was thrown");
  } catch (const net_system_error& e) {
    CHECK(e.code() == net::error::bad_descriptor);
  }
  CHECK(c.calls == 0);
}

TEST_CASE_TEMPLATE("as_tuple gives the error with the value", Op, RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  run_blocked<Op>(b, await_tuple(b, test::as_tuple(net::use_awaitable), c));
  CHECK(c.succeeded(b));
}

TEST_CASE_TEMPLATE("as_tuple does not throw", Op, RINGBELL_OBJECT_OPERATIONS) {
  bench b;
  completion<Op> c;
  Op::close(b);
  net::co_spawn(b.context, await_tuple(b, test::as_tuple(net::use_awaitable), c), rethrow);
  run_out(b.context);
  CHECK(c.ended_with(net::error::bad_descriptor));
}

TEST_CASE_TEMPLATE("redirect_error clears the error when there was none", Op,
                   RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  run_blocked<Op>(b, await_redirected(b, c));
  CHECK(c.succeeded(b));
}

TEST_CASE_TEMPLATE("redirect_error does not throw", Op, RINGBELL_OBJECT_OPERATIONS) {
  bench b;
  completion<Op> c;
  Op::close(b);
  net::co_spawn(b.context, await_redirected(b, c), rethrow);
  run_out(b.context);
  CHECK(c.ended_with(net::error::bad_descriptor));
}

TEST_CASE_TEMPLATE("use_future, with the context in a thread of its own", Op,
                   RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  Op::allow(b);
  auto future = Op::start(b, net::use_future);
  std::thread runner([&b] { run_out(b.context); });
  const auto status = future.wait_for(patience);
  runner.join();
  REQUIRE(status == std::future_status::ready);
  if constexpr (gives_value<Op>) {
    c.set(net_error_code(), future.get());
  } else {
    future.get();
    c.set(net_error_code());
  }
  CHECK(c.succeeded(b));
}

TEST_CASE("an operation with use_future runs where the context runs") {
  bench b;
  std::vector<std::thread::id> looked_at;
  const net::const_buffer buffer = net::buffer(b.bytes);
  auto future = b.near->async_send(watched_buffer(buffer, looked_at), net::use_future);
  run_until(b.context, [&] { return future.wait_for(0s) == std::future_status::ready; });
  future.get();
  CHECK(send_operation::happened(b));
  CHECK(looked_at.size() > 1);
  for (const std::thread::id thread : looked_at) CHECK(thread == std::this_thread::get_id());
}

TEST_CASE("use_future bound to an executor is fulfilled there") {
  bench b;
  net::io_context other;
  auto future = b.near->async_recv(net::bind_executor(other.get_executor(), net::use_future));
  recv_operation::allow(b);
  b.context.poll();
  CHECK(future.wait_for(0s) == std::future_status::timeout);
  other.run_for(patience);
  REQUIRE(future.wait_for(0s) == std::future_status::ready);
  CHECK(future.get().text() == "hello");
}

TEST_CASE_TEMPLATE("use_future throws the error", Op, RINGBELL_OBJECT_OPERATIONS) {
  bench b;
  Op::close(b);
  auto future = Op::start(b, net::use_future);
  run_out(b.context);
  REQUIRE(future.wait_for(0s) == std::future_status::ready);
  try {
    future.get();
    FAIL("nothing was thrown");
  } catch (const net_system_error& e) {
    CHECK(e.code() == net::error::bad_descriptor);
  }
}

TEST_CASE_TEMPLATE("deferred begins nothing before it is called", Op, RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  completion<Op> other;
  Op::block(b);
  auto operation = Op::start(b, test::deferred);
  b.settle();
  CHECK(c.calls == 0);
  // Somebody else may have the direction, as long as it has not begun.
  Op::allow(b);
  Op::start(b, other.handler());
  run_out(b.context);
  CHECK(other.succeeded(b));

  other.value.reset();
  b.others.clear();
  Op::allow(b);
  std::move(operation)(c.handler());
  run_out(b.context);
  CHECK(c.ended_with({}));
  CHECK(Op::gave(*c.value));
}

TEST_CASE_TEMPLATE("detached", Op, RINGBELL_ALL_OPERATIONS) {
  bench b;
  Op::block(b);
  Op::start(b, net::detached);
  b.settle();
  Op::allow(b);
  run_out(b.context);
  CHECK(Op::happened(b));
  // Nothing is held back: what came was given up with the handler.
  net_error_code error;
  CHECK(b.near->try_claim(500, error));
  CHECK(b.listener.clients() == 0);
}

TEST_CASE_TEMPLATE("bind_executor", Op, RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  net::strand<net::io_context::executor_type> strand(b.context.get_executor());
  bool in_strand = false;
  Op::block(b);
  Op::start(b, net::bind_executor(strand, [&](const net_error_code& error, auto&&... values) {
              in_strand = strand.running_in_this_thread();
              c.set(error, std::forward<decltype(values)>(values)...);
            }));
  b.settle();
  Op::allow(b);
  run_out(b.context);
  CHECK(c.succeeded(b));
  CHECK(in_strand);
}

TEST_CASE("a deferred operation can be begun more than once") {
  bench b;
  int sent = 0;
  const auto operation = b.near->async_send(net::buffer(b.bytes), test::deferred);
  for (int i = 0; i < 3; ++i) {
    operation([&](net_error_code error) { sent += !error; });
    run_out(b.context);
  }
  CHECK(sent == 3);
  CHECK(bench::drain(*b.far) == 3);
}

#if RINGBELL_ASIO_VERSION >= 102800
namespace {

template <class Value>
struct type_erased {
  using handler = net::any_completion_handler<void(net_error_code, Value)>;
};
template <>
struct type_erased<std::monostate> {
  using handler = net::any_completion_handler<void(net_error_code)>;
};

}  // namespace

TEST_CASE_TEMPLATE("any_completion_handler", Op, RINGBELL_ALL_OPERATIONS) {
  using handler = typename type_erased<typename Op::value_type>::handler;
  for (const bool blocked : {false, true}) {
    CAPTURE(blocked);
    bench b;
    completion<Op> c;
    net::strand<net::io_context::executor_type> strand(b.context.get_executor());
    bool in_strand = false;
    if (blocked)
      Op::block(b);
    else
      Op::allow(b);
    Op::start(
        b, handler(net::bind_executor(strand, [&](const net_error_code& error, auto&&... values) {
          in_strand = strand.running_in_this_thread();
          c.set(error, std::forward<decltype(values)>(values)...);
        })));
    CHECK(c.calls == 0);
    if (blocked) {
      b.settle();
      CHECK(c.calls == 0);
      Op::allow(b);
    }
    run_out(b.context);
    CHECK(c.succeeded(b));
    CHECK(in_strand);
  }
}
#endif

TEST_CASE_TEMPLATE("a token of the user's own", Op, RINGBELL_ALL_OPERATIONS) {
  bench b;
  completion<Op> c;
  Op::block(b);
  const auto same = Op::start(b, into<Op>{&c});
  CHECK(*same == &c);
  b.settle();
  CHECK(c.calls == 0);
  Op::allow(b);
  run_out(b.context);
  CHECK(c.succeeded(b));
}

}  // TEST_SUITE("asio tokens")
