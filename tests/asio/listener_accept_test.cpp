// SPDX-License-Identifier: BSL-1.0
// What an accept of a listener does, and what becomes of the channels that it gives.
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_all.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "support/applies.hpp"
#include "support/asio_meeting.hpp"
#include "support/child_process.hpp"
#include "support/no_descriptors_left.hpp"
#include "support/raw_peer.hpp"

TEST_SUITE("asio listener_accept") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

// Two clients of one process that dies as soon as both have said their last words. `greeted` is
// reached when both should wait for an answer.
task<void> reach_soon(const milestone& greeted) {
  co_await sleep_for(20ms);
  greeted.reach();
}
task<void> die_after_last_words(loop& lp, std::string path, const milestone& greeted) {
  lp.spawn(reach_soon(greeted));
  auto both = co_await when_all(connect(lp, path), connect(lp, path));
  for (channel* ch : {&std::get<0>(both), &std::get<1>(both)}) {
    co_await ch->send("last ");
    co_await ch->send("words");
  }
  std::_Exit(0);
}
int die_on_a_loop(const std::string& path, const milestone& greeted) {
  loop lp;
  lp.run(die_after_last_words(lp, path, greeted));
  return 1;
}
int die_on_a_context(const std::string& path, const milestone& greeted) {
  net::io_context context;
  std::deque<attempt> both;
  for (int i = 0; i < 2; ++i) both.emplace_back(context, path);
  let_go_on(context, 20ms);
  greeted.reach();
  if (!run_until(context, [&] { return both[0].succeeded() && both[1].succeeded(); })) return 2;
  for (attempt& c : both)
    if (c.ch.try_send(net::buffer("last ", 5)) || c.ch.try_send(net::buffer("words", 5))) return 3;
  std::_Exit(0);
}

}  // namespace

TEST_CASE("a second accept is busy, and one on a listener that is closed is a bad descriptor") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "accept");
  pending_channel first(context), second(context), third(context);
  l.async_accept(first.handler());
  l.async_accept(second.handler());
  CHECK_FALSE(second.ended());  // never from within the initiating function
  CHECK(run_until(context, [&] { return second.ended(); }));
  CHECK(std_error(second.error) == errc::busy);
  CHECK_FALSE(first.ended());
  l.close();
  l.async_accept(third.handler());
  CHECK(run_until(context, [&] { return first.ended() && third.ended(); }));
  CHECK(first.error == net::error::operation_aborted);
  CHECK(third.error == net::error::bad_descriptor);
}

TEST_CASE(
    "a pending accept ends with operation_aborted when the listener is cancelled, closed, moved, assigned to, or destroyed") {
  net::io_context context;
  const temporary_folder folder;
  for (const bool asleep : {false, true}) {
    CAPTURE(asleep);
    const auto begin_accept = [&](asio_listener& l, pending_channel& to) {
      l.async_accept(to.handler());
      if (asleep) let_go_on(context, 2ms);
      CHECK_FALSE(to.ended());
    };
    const auto is_aborted = [&](pending_channel& p) {
      CHECK_FALSE(p.ended());
      return run_until(context, [&] { return p.ended(); }) && p.calls == 1 &&
             p.error == net::error::operation_aborted && !p.ch.is_open();
    };
    std::optional<asio_listener> l(std::in_place, context, folder / "short");
    pending_channel cancelled(context), moved(context), assigned(context), destroyed(context),
        closed(context);

    begin_accept(*l, cancelled);
    l->cancel();
    CHECK(is_aborted(cancelled));

    begin_accept(*l, moved);
    asio_listener other = std::move(*l);
    CHECK(is_aborted(moved));
    CHECK_FALSE(l->is_open());
    CHECK(other.path() == folder / "short");
    {
      asio_pair p = meet(context, other);
      CHECK(works(context, p));
    }

    asio_listener third(context, folder / "third");
    begin_accept(third, assigned);
    third = std::move(other);
    CHECK(is_aborted(assigned));
    CHECK(std::ranges::none_of(left_in(folder),
                               [](const std::string& name) { return name.ends_with("third"); }));
    {
      asio_pair p = meet(context, third);
      CHECK(works(context, p));
    }

    *l = std::move(third);
    begin_accept(*l, closed);
    l->close();
    CHECK(is_aborted(closed));

    l.emplace(context, folder / "short");
    begin_accept(*l, destroyed);
    l.reset();
    CHECK(is_aborted(destroyed));
    CHECK(left_in(folder).empty());
  }
}

TEST_CASE("a cancelled accept loses no client") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "accept");
  for (int i = 0; i < 100; ++i) {
    CAPTURE(i);
    attempt client(context, l.path());
    std::optional<asio_channel> server;
    for (int tries = 0; !server && tries < 1000; ++tries) {
      pending_channel accepted(context);
      l.async_accept(accepted.handler());
      context.restart();
      for (int steps = (i + tries) % 9; steps > 0; --steps) context.poll_one();
      l.cancel();
      REQUIRE(run_until(context, [&] { return accepted.ended(); }));
      if (accepted.succeeded()) server = std::move(accepted.ch);
    }
    REQUIRE(server.has_value());
    REQUIRE(run_until(context, [&] { return client.ended(); }));
    REQUIRE(client.succeeded());
    asio_pair p(std::move(*server), std::move(client.ch));
    CHECK(works(context, p));
  }
  CHECK(l.clients() == 0);
}

TEST_CASE("a channel is accepted on another executor, and lives there") {
  net::io_context of_listener, of_channels;
  const temporary_folder folder;
  asio_listener l(of_listener, folder / "elsewhere");
  std::optional<asio_channel> server;
  attempt client(of_listener, l.path());
  l.async_accept(net::any_io_executor(of_channels.get_executor()),
                 [&](net_error_code e, asio_channel ch) {
                   REQUIRE_FALSE(e);
                   server.emplace(std::move(ch));
                 });
  REQUIRE(run_until(of_listener, [&] { return server && client.ended(); }));
  CHECK(server->get_executor() == net::any_io_executor(of_channels.get_executor()));

  std::optional<basic_asio_channel<net::strand<net::io_context::executor_type>>> on_strand;
  const auto strand = net::make_strand(of_channels);
  attempt second(of_listener, l.path());
  l.async_accept(strand, [&](net_error_code e,
                             basic_asio_channel<net::strand<net::io_context::executor_type>> ch) {
    REQUIRE_FALSE(e);
    on_strand.emplace(std::move(ch));
  });
  REQUIRE(run_until(of_listener, [&] { return on_strand && second.ended(); }));
  CHECK(on_strand->get_executor() == strand);

  // They are served by a thread that knows nothing of the listener's context.
  std::atomic<int> echoes{0};
  server->async_recv([&](net_error_code e, message m) {
    echoes += !e && !server->try_send(net::buffer(m.data(), m.size()));
  });
  on_strand->async_recv([&](net_error_code e, message m) {
    echoes += !e && !on_strand->try_send(net::buffer(m.data(), m.size()));
  });
  std::thread there([&] { of_channels.run(); });
  for (attempt* c : {&client, &second}) {
    CHECK_FALSE(c->ch.try_send(net::buffer("over there", 10)));
    CHECK(receive(of_listener, c->ch).text == "over there");
  }
  there.join();
  CHECK(echoes == 2);
  CHECK(l.clients() == 2);
  on_strand.reset();
  CHECK(l.clients() == 1);
}

TEST_CASE(
    "clients() goes down when channels go, on other threads and strands, whatever the listener does") {
  constexpr std::size_t count = 40;
  net::io_context context;
  net::thread_pool pool(3);
  const temporary_folder folder;
  asio_listener l(context, folder / "counted");
  std::deque<attempt> clients;
  for (std::size_t i = 0; i < count; ++i) clients.emplace_back(context, l.path());

  // Each channel receives on a strand of its own in the pool, until its client ends; then it goes,
  // there.
  using strand = net::strand<net::thread_pool::executor_type>;
  struct session : std::enable_shared_from_this<session> {
    explicit session(basic_asio_channel<strand> c) : ch(std::move(c)) {}
    void go_on() {
      ch.async_recv([self = shared_from_this()](net_error_code e, const message&) {
        if (!e) self->go_on();
      });
    }
    basic_asio_channel<strand> ch;
  };
  std::size_t accepted = 0;
  std::function<void()> accept_next = [&] {
    l.async_accept(net::make_strand(pool), [&](net_error_code e, basic_asio_channel<strand> ch) {
      REQUIRE_FALSE(e);
      const auto s = std::make_shared<session>(std::move(ch));
      net::dispatch(s->ch.get_executor(), [s] { s->go_on(); });
      if (++accepted < count) accept_next();
    });
  };
  accept_next();
  REQUIRE(run_until(context, [&] {
    return accepted == count &&
           std::ranges::all_of(clients, [](const attempt& c) { return c.succeeded(); });
  }));
  CHECK(l.clients() == count);
  for (std::size_t left = count; left > 0;) {
    clients.pop_front();
    --left;
    CHECK(eventually([&] { return l.clients() == left; }));
  }
  pool.join();
}

TEST_CASE("accepted channels live on after the listener; those that were not accepted see an end") {
  net::io_context context;
  const temporary_folder folder;
  std::optional<asio_listener> l(std::in_place, context, folder / "short");
  asio_pair p = meet(context, *l);

  // Two come at once and one is accepted: the other has passed the handshake as well.
  pending_channel accepted(context);
  attempt one(context, l->path()), two(context, l->path());
  l->async_accept(accepted.handler());
  REQUIRE(run_until(context, [&] { return accepted.ended() && one.ended() && two.ended(); }));
  const raw_peer half_open = raw_peer::connected_to(l->path());
  CHECK(l->clients() == 3);
  l.reset();
  CHECK(works(context, p));
  CHECK_FALSE(accepted.ch.try_send(net::buffer("you", 3)));
  const received from_one = receive(context, one.ch), from_two = receive(context, two.ch);
  CHECK(((from_one.text == "you") != (from_two.text == "you")));
  CHECK((from_one.error ? from_one : from_two).error == net::error::eof);
  CHECK(poll_for(half_open.socket.native(), peer_hung_up, 0ms));
}

TEST_CASE("without a pending accept clients wait, and are served once there is one") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "later");
  attempt first(context, l.path()), second(context, l.path());
  let_go_on(context, 30ms);
  CHECK_FALSE(first.ended());
  CHECK_FALSE(second.ended());
  CHECK(l.clients() == 0);
  for (int i = 0; i < 2; ++i) {
    pending_channel server(context);
    l.async_accept(server.handler());
    CHECK(run_until(context, [&] { return server.ended(); }));
    CHECK(server.succeeded());
  }
  CHECK(run_until(context, [&] { return first.ended() && second.ended(); }));
  CHECK(first.succeeded());
  CHECK(second.succeeded());

  connect_options options;
  options.timeout = 10ms;
  attempt impatient(context, l.path(), options);
  CHECK(run_until(context, [&] { return impatient.ended(); }));
  CHECK(impatient.error == net::error::timed_out);
}

TEST_CASE(
    "a client whose channel cannot be started is dropped, and the accept goes on to the next" *
    needs_scarce_handles) {
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "unlucky");
  // Two come at once and one is accepted: the other one waits with its handshake done.
  pending_channel accepted(context), next(context);
  attempt one(context, l.path()), two(context, l.path());
  l.async_accept(accepted.handler());
  REQUIRE(run_until(context, [&] { return accepted.ended() && one.ended() && two.ended(); }));
  CHECK(l.clients() == 2);
  l.async_accept(next.handler());
  {
    const no_descriptors_left scarce;
    context.restart();
    context.poll();
  }
  CHECK_FALSE(next.ended());
  CHECK(l.clients() == 1);
  attempt three(context, l.path());
  CHECK(run_until(context, [&] { return next.ended() && three.ended(); }));
  asio_pair p(std::move(next.ch), std::move(three.ch));
  CHECK(works(context, p));
  CHECK_FALSE(accepted.ch.try_send(net::buffer("you", 3)));
  const received from_one = receive(context, one.ch), from_two = receive(context, two.ch);
  CHECK(((from_one.text == "you") != (from_two.text == "you")));
}

TEST_CASE(
    "what a client has sent before it closed is received when it is accepted only afterwards; then comes the end") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "late");
  for (const auto bell : bells_here()) {
    CAPTURE(std::string(sys::name_of(bell)));
    connect_options options;
    options.bells = sys::bell_bit(bell);
    pending_channel accepted(context);
    attempt one(context, l.path(), options), two(context, l.path(), options);
    l.async_accept(accepted.handler());
    REQUIRE(run_until(context, [&] { return accepted.ended() && one.ended() && two.ended(); }));
    for (attempt* c : {&one, &two}) {
      CHECK_FALSE(c->ch.try_send(net::buffer("last ", 5)));
      CHECK_FALSE(c->ch.try_send(net::buffer("words", 5)));
      c->ch.close();
    }
    let_go_on(context, 5ms);
    pending_channel late(context);
    l.async_accept(late.handler());
    REQUIRE(run_until(context, [&] { return late.ended(); }));
    for (asio_channel* ch : {&accepted.ch, &late.ch}) {
      CHECK(receive(context, *ch).text == "last ");
      CHECK(receive(context, *ch).text == "words");
      CHECK(receive(context, *ch).error == net::error::eof);
      CHECK(receive(context, *ch).error == net::error::eof);
    }
  }
}

TEST_CASE(
    "what a client has sent before it died is received when it is accepted only afterwards; then comes the reset") {
  const temporary_folder folder;
  const std::string path = folder / "late";
  for (const bool native : {false, true}) {
    CAPTURE(native);
    net::io_context context;
    asio_listener l(context, path);
    // Both greet before an accept is pending: so it shakes hands with both, and the one that it
    // does not accept dies unaccepted.
    const milestone greeted;
    child_process clients(native ? &die_on_a_loop : &die_on_a_context, path, greeted);
    greeted.wait();
    pending_channel early(context), late(context);
    l.async_accept(early.handler());
    CHECK(run_until(context, [&] { return early.ended(); }));
    const bool unaccepted = l.clients() == 2;
    if (unaccepted) CHECK(clients.wait() == 0);
    l.async_accept(late.handler());
    CHECK(run_until(context, [&] { return late.ended(); }));
    if (!unaccepted) {
      MESSAGE("the second client was so slow that it was accepted alive");
      CHECK(clients.wait() == 0);
    }
    for (asio_channel* ch : {&early.ch, &late.ch}) {
      CHECK(receive(context, *ch).text == "last ");
      CHECK(receive(context, *ch).text == "words");
      for (int again = 0; again < 2; ++again)
        CHECK(receive(context, *ch).error == net::error::connection_reset);
      net_error_code sent;
      bool ended = false;
      ch->async_send(net::buffer("anybody there?", 14), [&](net_error_code e) {
        ended = true;
        sent = e;
      });
      CHECK(run_until(context, [&] { return ended; }));
      CHECK(sent == net::error::connection_reset);
    }
  }
}

}  // TEST_SUITE("asio listener_accept")
