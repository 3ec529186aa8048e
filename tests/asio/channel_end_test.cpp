// SPDX-License-Identifier: BSL-1.0
// How a channel ends, by its peer or by its owner, and what that means for what is pending.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/applies.hpp"
#include "support/asio.hpp"
#include "support/asio_operations.hpp"
#include "support/child_process.hpp"
#include "support/pattern.hpp"

TEST_SUITE("asio channel_end") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

/// What the next receive gives: a message's text, or why there is none.
std::string next(bench& b, asio_channel& ch) {
  completion<recv_operation> c;
  ch.async_recv(c.handler());
  CHECK(run_until(b.context, [&] { return c.calls == 1; }));
  return c.error ? c.error.message() : std::string(c.value->text());
}

net_error_code error_of_send(bench& b, asio_channel& ch) {
  completion<send_operation> c;
  ch.async_send(net::buffer("x", 1), c.handler());
  CHECK(run_until(b.context, [&] { return c.calls == 1; }));
  return c.error;
}

const std::string the_end = net_error_code(net::error::eof).message();

}  // namespace

// -- the peer ends --

TEST_CASE("what the peer sent before it closed is received, then the end, and again the end") {
  for (const int how : {0, 1, 2}) {
    CAPTURE(how);
    bench b;
    CHECK_FALSE(b.far->try_send(net::buffer("one", 3)));
    CHECK_FALSE(b.far->try_send(net::buffer("two", 3)));
    if (how == 0) b.far->close();
    if (how == 1) b.far->close_send();
    if (how == 2) b.far.reset();
    CHECK(next(b, *b.near) == "one");
    CHECK(next(b, *b.near) == "two");
    CHECK(next(b, *b.near) == the_end);
    CHECK(next(b, *b.near) == the_end);
    net_error_code error;
    b.near->try_recv(error);
    CHECK(error == net::error::eof);
    std::vector<std::byte> buffer(10);
    completion<recv_into_operation> c;
    b.near->async_recv_into(net::buffer(buffer), c.handler());
    run_out(b.context);
    CHECK(c.ended_with(net::error::eof));
  }
}

TEST_CASE_TEMPLATE("a pending receive hears of the end", Op, recv_operation, recv_into_operation) {
  for (const int how : {0, 1, 2}) {
    CAPTURE(how);
    bench b;
    completion<Op> c;
    Op::start(b, c.handler());
    b.settle();
    REQUIRE(c.calls == 0);
    if (how == 0) b.far->close();
    if (how == 1) b.far->close_send();
    if (how == 2) b.far.reset();
    run_out(b.context);
    CHECK(c.ended_with(net::error::eof));
  }
}

TEST_CASE_TEMPLATE("a pending send hears that the peer receives no more", Op, send_operation,
                   claim_operation) {
  for (const bool destroyed : {false, true}) {
    CAPTURE(destroyed);
    bench b;
    completion<Op> c;
    Op::block(b);
    Op::start(b, c.handler());
    b.settle();
    REQUIRE(c.calls == 0);
    if (destroyed)
      b.far.reset();
    else
      b.far->close();
    run_out(b.context);
    CHECK(c.ended_with(net::error::connection_reset));
    CHECK(error_of_send(b, *b.near) == net::error::connection_reset);
  }
}

TEST_CASE("close_send ends one direction, and the other goes on") {
  bench b;
  completion<recv_operation> received;
  b.near->async_recv(received.handler());
  b.near->close_send();
  b.near->close_send();
  CHECK(next(b, *b.far) == the_end);
  CHECK(received.calls == 0);
  CHECK(b.near->is_open());
  CHECK(error_of_send(b, *b.near) == net::error::bad_descriptor);
  CHECK(b.near->try_send(net::buffer("x", 1)) == net::error::bad_descriptor);
  net_error_code error;
  CHECK_FALSE(b.near->try_claim(1, error));
  CHECK(error == net::error::bad_descriptor);
  CHECK_FALSE(error_of_send(b, *b.far));
  CHECK(run_until(b.context, [&] { return received.calls == 1; }));
  CHECK(received.value->text() == "x");
}

TEST_CASE("close_send ends a pending send, of which the peer sees nothing") {
  bench b;
  const auto large = patterned(20'000, 1);
  completion<send_operation> sent;
  CHECK_FALSE(b.near->try_send(net::buffer("before", 6)));
  b.near->async_send(net::buffer(large), sent.handler());
  b.settle();
  CHECK(sent.calls == 0);
  b.near->close_send();
  CHECK(next(b, *b.far) == "before");
  CHECK(next(b, *b.far) == the_end);
  CHECK(sent.ended_with(net::error::operation_aborted));
}

TEST_CASE("a message is lost as a whole when its sender closes half-way" * needs_exact_wakes) {
  bench b;
  const auto large = patterned(20'000, 1);
  completion<send_operation> sent;
  net_error_code error;
  b.near->async_send(net::buffer(large), sent.handler());
  b.settle();
  b.far->try_recv(error);  // takes in a part
  CHECK(error == net::error::would_block);
  b.settle();
  CHECK(b.near->statistics().parks == 2);
  REQUIRE(sent.calls == 0);
  b.near->close();
  CHECK(next(b, *b.far) == the_end);
  CHECK(b.far->statistics().messages_received == 0);
  CHECK(sent.ended_with(net::error::operation_aborted));
}

// -- the peer dies --

namespace {

/// Sends three messages, and then does nothing until it is killed.
int send_three(const std::string& path, const shared_object<std::atomic<bool>>& sent) {
  net::io_context context;
  std::optional<asio_channel> ch;
  async_connect(context, path, [&](net_error_code error, asio_channel connected) {
    expect(!error, "a connection");
    ch = std::move(connected);
    for (const char* const text : {"one", "two", "three"})
      expect(!ch->try_send(net::buffer(text, std::strlen(text))), "space");
    *sent = true;
  });
  context.run();
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

/// A peer in a process of its own that does so.
class doomed_peer {
public:
  doomed_peer() : child_(&send_three, path(), sent_) {}
  std::string path() const { return folder_ / "doomed"; }
  bool has_sent() const { return *sent_; }
  void die() {
    child_.kill();
    CHECK(child_.wait() == killed);
  }

private:
  temporary_folder folder_;
  shared_object<std::atomic<bool>> sent_;
  child_process child_;
};

/// The other end.
struct survivor {
  survivor() {
    asio_listener listener(context, peer.path());
    listener.async_accept([this](net_error_code error, asio_channel accepted) {
      CHECK_FALSE(error);
      ch.emplace(std::move(accepted));
    });
    REQUIRE(run_until(context, [&] { return ch.has_value(); }));
    REQUIRE(eventually([&] { return peer.has_sent(); }));
    run_out(context);
  }
  void receive_three() {
    net_error_code error;
    CHECK(ch->try_recv(error).text() == "one");
    CHECK(ch->try_recv(error).text() == "two");
    CHECK(ch->try_recv(error).text() == "three");
  }
  doomed_peer peer;
  net::io_context context;
  std::optional<asio_channel> ch;
};

}  // namespace

TEST_CASE("what the peer sent before it was killed is received, then connection_reset, and again") {
  survivor s;
  s.peer.die();
  std::string heard;
  for (int i = 0; i < 5; ++i) {
    s.ch->async_recv([&](net_error_code error, const message& m) {
      heard += error ? error.message() : std::string(m.text());
    });
    run_out(s.context);
  }
  const std::string reset = net_error_code(net::error::connection_reset).message();
  CHECK(heard == "onetwothree" + reset + reset);
  net_error_code sent;
  s.ch->async_send(net::buffer("x", 1), [&](net_error_code error) { sent = error; });
  run_out(s.context);
  CHECK(sent == net::error::connection_reset);
}

TEST_CASE("what is pending when the peer is killed ends with connection_reset") {
  survivor s;
  s.receive_three();
  bench::fill(*s.ch, 500);
  completion<recv_operation> received;
  completion<send_operation> sent;
  const auto bytes = patterned(500, 1);
  s.ch->async_recv(received.handler());
  s.ch->async_send(net::buffer(bytes), sent.handler());
  s.ch->spin(spin_policy::none);
  s.context.poll();
  CHECK(received.calls + sent.calls == 0);
  s.peer.die();
  run_out(s.context);
  CHECK(received.ended_with(net::error::connection_reset));
  CHECK(sent.ended_with(net::error::connection_reset));
}

TEST_CASE("a wait ends when the peer is killed, and trying tells why") {
  survivor s;
  s.receive_three();
  completion<wait_recv_operation> waited;
  s.ch->async_wait(asio_channel::wait_recv, waited.handler());
  s.context.poll();
  s.peer.die();
  run_out(s.context);
  CHECK(waited.ended_with({}));
  net_error_code error;
  s.ch->try_recv(error);
  CHECK(error == net::error::connection_reset);
}

TEST_CASE("who only tries hears of the peer's death as well") {
  survivor s;
  s.receive_three();
  s.peer.die();
  net_error_code error = net::error::would_block;
  for (int i = 0; i < 10'000 && error == net::error::would_block; ++i) s.ch->try_recv(error);
  CHECK(error == net::error::connection_reset);
  CHECK(s.ch->try_send(net::buffer("x", 1)) == net::error::connection_reset);
}

// -- the owner ends it --

namespace {

/// How pending operations are ended. The connection is at `b.near` afterwards, or nowhere; or
/// another one is there.
struct ending {
  const char* name;
  bool goes_on;
  void (*end)(bench& b, asio_pair& spare);
};

const ending all_endings[] = {
    {"cancel", true, [](bench& b, asio_pair&) { b.near->cancel(); }},
    {"move construction", true,
     [](bench& b, asio_pair&) {
       auto to = std::make_unique<asio_channel>(std::move(*b.near));
       CHECK_FALSE(b.near->is_open());
       std::swap(b.near, to);
     }},
    {"move assignment to another channel", true,
     [](bench& b, asio_pair&) {
       auto to = std::make_unique<asio_channel>(b.context);
       *to = std::move(*b.near);
       CHECK_FALSE(b.near->is_open());
       std::swap(b.near, to);
     }},
    {"move assignment from another channel", true,
     [](bench& b, asio_pair& spare) {
       *b.near = std::move(spare.client);
       *b.far = std::move(spare.server);
     }},
    {"close", false, [](bench& b, asio_pair&) { b.near->close(); }},
    {"destruction", false,
     [](bench& b, asio_pair&) { b.near = std::make_unique<asio_channel>(b.context); }},
};

/// How far an operation has come until then.
enum class stage { begun, asleep, woken };

template <class Op>
void check_ending(const ending& how, stage at) {
  CAPTURE(std::string(how.name));
  CAPTURE(static_cast<int>(at));
  bench b;
  asio_pair spare = connected(b.context);
  // The handler runs somewhere else, so that the test says when.
  net::io_context handlers;
  completion<Op> first, second;
  b.near->spin(spin_policy::none);
  Op::block(b);
  Op::start(b, net::bind_executor(handlers.get_executor(), first.handler()));
  b.context.restart();
  if (at != stage::begun) {
    b.context.poll();
    handlers.poll();
    b.context.poll();
  }
  if (at == stage::woken) {
    Op::allow(b);
    REQUIRE(b.context.run_one_for(patience) == 1);
  }

  how.end(b, spare);
  CHECK(first.calls == 0);
  CHECK(b.near->is_open() == how.goes_on);
  Op::start(b, second.handler());
  if (!how.goes_on) {
    run_until(b.context, [&] { return second.calls == 1; });
    CHECK(second.ended_with(net::error::bad_descriptor));
  } else {
    Op::allow(b);
    run_until(b.context, [&] { return second.calls == 1; });
    CHECK(second.succeeded(b));
  }
  CHECK(first.calls == 0);
  handlers.restart();
  handlers.run_for(patience);
  CHECK(first.ended_with(net::error::operation_aborted));
  run_out(b.context);
  CHECK(second.calls == 1);

  if (!how.goes_on) return;
  second.value.reset();
  bench::drain(*b.near);
  bench::drain(*b.far);
  CHECK_FALSE(b.near->try_send(net::buffer("there", 5)));
  CHECK_FALSE(b.far->try_send(net::buffer("back", 4)));
  CHECK(next(b, *b.far) == "there");
  CHECK(next(b, *b.near) == "back");
}

}  // namespace

TEST_CASE_TEMPLATE(
    "what is pending is aborted, and can be begun anew before its handler was called" *
        needs_exact_wakes,
    Op, RINGBELL_CHANNEL_OPERATIONS) {
  for (const ending& how : all_endings)
    for (const stage at : {stage::begun, stage::asleep, stage::woken}) check_ending<Op>(how, at);
}

TEST_CASE("both directions are aborted together") {
  for (const ending& how : all_endings) {
    CAPTURE(std::string(how.name));
    bench b;
    asio_pair spare = connected(b.context);
    completion<recv_operation> received;
    completion<send_operation> sent;
    send_operation::block(b);
    recv_operation::start(b, received.handler());
    send_operation::start(b, sent.handler());
    b.settle();
    how.end(b, spare);
    run_out(b.context);
    CHECK(received.ended_with(net::error::operation_aborted));
    CHECK(sent.ended_with(net::error::operation_aborted));
  }
}

TEST_CASE("the peer of a channel that was assigned to sees its end") {
  bench b;
  asio_pair spare = connected(b.context);
  CHECK_FALSE(b.near->try_send(net::buffer("last words", 10)));
  *b.near = std::move(spare.client);
  CHECK(next(b, *b.far) == "last words");
  CHECK(next(b, *b.far) == the_end);
}

TEST_CASE("a channel may be closed, destroyed or moved by a handler of its own") {
  for (const ending& how : all_endings) {
    CAPTURE(std::string(how.name));
    bench b;
    asio_pair spare = connected(b.context);
    completion<send_operation> sent;
    int received = 0;
    send_operation::block(b);
    send_operation::start(b, sent.handler());
    recv_operation::allow(b);
    b.near->async_recv([&](net_error_code error, message m) {
      CHECK_FALSE(error);
      how.end(b, spare);
      CHECK(m.text() == "hello");  // still
      ++received;
    });
    run_out(b.context);
    CHECK(received == 1);
    CHECK(sent.ended_with(net::error::operation_aborted));
  }
}

// -- not open --

TEST_CASE_TEMPLATE("nothing can be done on a channel that is not open", Op,
                   RINGBELL_CHANNEL_OPERATIONS) {
  for (const bool closed : {false, true}) {
    CAPTURE(closed);
    bench b;
    completion<Op> c;
    if (closed)
      b.near->close();
    else
      b.near = std::make_unique<asio_channel>(b.context);
    Op::start(b, c.handler());
    run_out(b.context);
    CHECK(c.ended_with(net::error::bad_descriptor));
  }
}

TEST_CASE("a channel that is not open knows nothing, and can be closed again") {
  net::io_context context;
  asio_channel ch(context);
  net_error_code error;
  CHECK_FALSE(ch.is_open());
  ch.try_recv(error);
  CHECK(error == net::error::bad_descriptor);
  CHECK_FALSE(ch.try_claim(1, error));
  CHECK(error == net::error::bad_descriptor);
  CHECK(ch.try_send(net::buffer("x", 1)) == net::error::bad_descriptor);
  CHECK(ch.max_claim() == 0);
  CHECK(ch.max_message() == 0);
  CHECK(ch.statistics().messages_sent == 0);
  ch.cancel();
  ch.close_send();
  ch.spin(spin_policy::always);
  ch.close();
  ch.close();
  asio_channel moved(std::move(ch));
  CHECK_FALSE(moved.is_open());
}

}  // TEST_SUITE("asio channel_end")
