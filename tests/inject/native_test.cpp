// SPDX-License-Identifier: BSL-1.0
// Native channels and services on a machine that is short of memory, or of something else, at any
// moment.
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/channel/stream_listener.hpp>
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/coro/when_any.hpp>
#include <ringbell/loop/loop_pool.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/server.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "inject/shots.hpp"
#include "support/channel_pair.hpp"
#include "support/patience.hpp"
#include "support/poll.hpp"

TEST_SUITE("inject native") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

// Nothing within a scenario has a limit of its own: whoever waits in vain is found by the limit of
// the whole.
constexpr auto no_limit = std::chrono::nanoseconds::max();

void want(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

loop_options that_sleeps() {
  loop_options o;
  o.spin = spin_policy::none;
  return o;
}

listener_options patient_listener() {
  listener_options o;
  o.handshake_timeout = no_limit;
  return o;
}
connect_options patient_connect() {
  connect_options o;
  o.timeout = no_limit;
  return o;
}

// -- channels --

task<void> echo(channel ch) {
  for (;;) {
    const auto m = co_await as_result(ch.recv());
    if (!m || !*m) co_return;
    if (!co_await as_result(ch.send((*m)->bytes()))) co_return;
  }
}
task<void> accept_all(loop& lp, listener& l) {
  scope sessions{lp};
  sessions.on_error([](std::exception_ptr) {});
  for (;;) sessions.spawn(echo(co_await l.accept()));
}

task<void> exchange(loop& lp, const std::string& path, connect_options options) {
  task<channel> connecting = connect(lp, path, options);
  channel ch = co_await std::move(connecting);
  for (int i = 0; i < 3; ++i) {
    co_await ch.send("hello");
    const std::optional<message> m = co_await ch.recv();
    if (!m) throw std::system_error(errc::peer_closed);
    want(m->text() == "hello", "the message that was sent");
    co_await sleep_for(100us);
  }
  const std::string big(300'000, 'b');
  co_await ch.send(big);
  const std::optional<message> m = co_await ch.recv();
  if (!m) throw std::system_error(errc::peer_closed);
  want(m->text() == big, "the long message that was sent");
}

/// A server and a client of it on one loop.
task<void> meet(loop& lp, std::string path, sys::bell_set bells) {
  listener_options of_server = patient_listener();
  connect_options of_client = patient_connect();
  of_client.bells = of_server.bells = bells;
  listener l = listener::bind(lp, path, of_server);
  task<void> accepting = accept_all(lp, l);
  task<void> talking = exchange(lp, path, of_client);
  (void)co_await when_any(std::move(accepting), std::move(talking));
}

scenario channels_with(sys::bell_kind kind) {
  return [kind](const std::string& folder) {
    loop lp(that_sleeps());
    const bool possible = (sys::system_bells() & sys::bell_bit(kind)) != 0 &&
                          (kind != sys::bell_kind::futex || lp.can_wait_on_futex());
    if (possible) lp.run(timeout(patience, meet(lp, folder + "/s", sys::bell_bit(kind))));
  };
}

// -- streams --

task<void> echo_bytes(stream s) {
  std::array<std::byte, 1000> bytes;
  for (;;) {
    const auto n = co_await as_result(s.read_some(bytes));
    if (!n || *n == 0) co_return;
    if (!co_await as_result(s.write_all(std::span(bytes).first(*n)))) co_return;
  }
}
task<void> accept_streams(loop& lp, stream_listener& l) {
  scope sessions{lp};
  sessions.on_error([](std::exception_ptr) {});
  for (;;) sessions.spawn(echo_bytes(co_await l.accept()));
}

task<void> exchange_bytes(loop& lp, const std::string& path) {
  task<stream> connecting = connect_stream(lp, path, patient_connect());
  stream s = co_await std::move(connecting);
  for (const std::size_t size : {5, 60'000, 5}) {
    const std::string sent(size, 's');
    std::string received(size, '\0');
    co_await s.write_all(sent);
    const std::size_t n = co_await s.read_exactly(std::as_writable_bytes(std::span(received)));
    if (n < size) throw std::system_error(errc::peer_closed);
    want(received == sent, "the bytes that were written");
    co_await sleep_for(100us);
  }
}

task<void> meet_by_streams(loop& lp, std::string path) {
  stream_listener l = stream_listener::bind(lp, path, patient_listener());
  task<void> accepting = accept_streams(lp, l);
  task<void> talking = exchange_bytes(lp, path);
  (void)co_await when_any(std::move(accepting), std::move(talking));
}

// -- services --

task<reply> answer(request r) {
  const std::string row(3000, 'r');
  switch (r.method()) {
    case 2:
      for (int i = 0; i < 40; ++i) co_await r.write(std::as_bytes(std::span(row)));
      co_return reply("end");
    case 3: {
      std::size_t bytes = 0;
      while (const std::optional<payload> part = co_await r.read()) bytes += part->size();
      co_return reply(std::to_string(bytes));
    }
    case 4: co_await sleep_for(200us); co_return reply(r.bytes());
    case 5: co_await sleep_for(1h); co_return reply();
    default: co_return reply(r.bytes());
  }
}

task<void> call_all(client& c) {
  payload p = co_await c.call(1, "hello");
  want(p.text() == "hello", "the bytes of the request");
  p = co_await c.call(4, "later");
  want(p.text() == "later", "the bytes of the slow request");
  const std::string big(200'000, 'x');
  p = co_await c.call(1, big);
  want(p.text() == big, "the bytes of the long request");
  p = co_await c.call(2, "");
  {
    call_stream s = c.open(3, "");
    const std::string part(5000, 'p');
    for (int i = 0; i < 30; ++i) co_await s.write(std::as_bytes(std::span(part)));
    s.finish();
    p = co_await s.reply();
    want(p.text() == "150000", "the count of the bytes that were written");
  }
  const auto cut_off = co_await as_result(c.call(5, "", 200us));
  if (!cut_off && cut_off.error() != errc::timed_out) throw std::system_error(cut_off.error());
}

client_options patient_client() {
  client_options o;
  o.connection.timeout = no_limit;
  return o;
}
server_options patient_server() {
  server_options o;
  o.listening.handshake_timeout = no_limit;
  return o;
}

task<void> be_client(loop& lp, std::string path) {
  task<client> connecting = client::connect(lp, path, patient_client());
  client c = co_await std::move(connecting);
  task<void> calling = call_all(c);
  co_await std::move(calling);
}

task<void> serve_and_call(loop& lp, std::string path) {
  server s(lp, path, answer, patient_server());
  task<void> calling = be_client(lp, path);
  co_await std::move(calling);
  (void)co_await s.stop(100ms);
}

task<void> serve_with_pool(loop& lp, loop_pool& pool, std::string path) {
  server s(lp, pool, path, answer, patient_server());
  task<void> calling = be_client(lp, path);
  co_await std::move(calling);
  (void)co_await s.stop(100ms);
}

task<void> stop_under_way(loop& lp, std::string path) {
  server s(lp, path, answer, patient_server());
  task<client> connecting = client::connect(lp, path, patient_client());
  client c = co_await std::move(connecting);
  scope calls{lp};
  calls.on_error([](std::exception_ptr) {});
  const auto call = [](client& of) -> task<void> { (void)co_await of.call(5, ""); };
  calls.spawn(call(c));
  co_await sleep_for(200us);
  (void)co_await s.stop(1ms);
}

task<void> connect_again(loop& lp, std::string path) {
  auto first = std::make_unique<server>(lp, path, answer, patient_server());
  client_options of_client = patient_client();
  of_client.reconnect = reconnect_policy::with_backoff;
  task<client> connecting = client::connect(lp, path, of_client);
  client c = co_await std::move(connecting);
  (void)co_await c.call(1, "hello");
  first.reset();
  const server second(lp, path, answer, patient_server());
  // The call that hears of the end fails; a later one connects again, after a pause if it has to.
  for (;;) {
    const auto answered = co_await as_result(c.call(1, "again"));
    if (answered) break;
    co_await sleep_for(1ms);
  }
}

task<void> sleep_for_a_moment() { co_await sleep_for(1ms); }

// -- bells --

injected_call& call_named(std::string_view name) {
  const auto all = injector::calls();
  return **std::ranges::find_if(all, [&](const injected_call* c) { return c->name == name; });
}

/// Sends to a parked receiver while `times` calls that ring the bell fail. Says whether the
/// connection has survived.
task<void> send_without_memory(loop& lp, const std::string& folder, sys::bell_kind kind,
                               std::uint64_t times, bool& survived) {
  listener_options of_server = patient_listener();
  connect_options of_client = patient_connect();
  of_client.bells = of_server.bells = sys::bell_bit(kind);
  listener l = listener::bind(lp, folder + "/s", of_server);
  task<channel> connecting = connect(lp, l.path(), of_client);
  channel client = co_await std::move(connecting);
  channel server = co_await l.accept();
  beside received(lp, server.recv());
  co_await let_park(lp);
  constexpr const char* names[] = {"write", "send", "futex"};
  injector::fail(call_named(names[static_cast<int>(kind)]), 1, ENOMEM, times);
  co_await client.send("hello");
  injector::off();
  const auto m = co_await received.get();
  CHECK(m.has_value());
  if (m && *m) CHECK((*m)->text() == "hello");
  survived = static_cast<bool>(co_await as_result(server.send("welcome")));
  if (survived) CHECK(co_await client.recv());
}

void ring_without_memory(std::uint64_t times, bool survives) {
  for (const auto kind : {sys::bell_kind::eventfd, sys::bell_kind::socket, sys::bell_kind::futex}) {
    loop lp(that_sleeps());
    if (kind == sys::bell_kind::futex && !lp.can_wait_on_futex()) continue;
    CAPTURE(static_cast<int>(kind));
    const temporary_folder folder;
    bool survived = !survives;
    lp.run(timeout(patience, send_without_memory(lp, folder.path(), kind, times, survived)));
    CHECK(survived == survives);
  }
}

}  // namespace

TEST_CASE("a bell that could not be rung for lack of memory is rung again") {
  ring_without_memory(5, true);
}

TEST_CASE(
    "a bell that cannot be rung for long is an end, of which both sides hear: no wake-up is lost") {
  ring_without_memory(1'000'000, false);
}

TEST_CASE("channels with eventfds as bells") {
  let_each_call_fail(channels_with(sys::bell_kind::eventfd));
}
TEST_CASE("channels with sockets as bells") {
  let_each_call_fail(channels_with(sys::bell_kind::socket));
}
TEST_CASE("channels with futexes as bells") {
  let_each_call_fail(channels_with(sys::bell_kind::futex));
}

TEST_CASE("streams") {
  let_each_call_fail([](const std::string& folder) {
    loop lp(that_sleeps());
    lp.run(timeout(patience, meet_by_streams(lp, folder + "/s")));
  });
}

TEST_CASE("a loop that a foreign one drives") {
  let_each_call_fail([](const std::string& folder) {
    loop lp(that_sleeps());
    bool over = false;
    std::exception_ptr failed;
    const auto all = [](loop& on, std::string path, bool& done,
                        std::exception_ptr& error) -> task<void> {
      try {
        task<void> meeting = timeout(patience, meet(on, std::move(path), detail::default_bells));
        co_await std::move(meeting);
      } catch (...) {
        error = std::current_exception();
      }
      done = true;
    };
    lp.spawn(all(lp, folder + "/s", over, failed));
    const sys::native_handle handle = lp.native_handle();
    std::exception_ptr of_loop;
    const auto go_on = [&] {
      for (;;) {
        try {
          lp.run_ready();
          return;
        } catch (const std::system_error&) {
          of_loop = std::current_exception();
        }
      }
    };
    for (;;) {
      go_on();
      if (over) break;
      if (!readable_within(handle, patience))
        throw std::system_error(errc::timed_out, "the foreign loop");
    }
    if (failed) std::rethrow_exception(failed);
    if (of_loop) std::rethrow_exception(of_loop);
  });
}

TEST_CASE("a service") {
  let_each_call_fail([](const std::string& folder) {
    loop lp(that_sleeps());
    lp.run(timeout(patience, serve_and_call(lp, folder + "/s")));
  });
}

TEST_CASE("a service on the threads of a pool") {
  let_each_call_fail([](const std::string& folder) {
    loop lp(that_sleeps());
    loop_pool pool(2, that_sleeps());
    lp.run(timeout(patience, serve_with_pool(lp, pool, folder + "/s")));
  });
}

TEST_CASE("a service that is stopped with a call under way") {
  let_each_call_fail([](const std::string& folder) {
    loop lp(that_sleeps());
    lp.run(timeout(patience, stop_under_way(lp, folder + "/s")));
  });
}

TEST_CASE("a client that connects again") {
  let_each_call_fail([](const std::string& folder) {
    loop lp(that_sleeps());
    lp.run(timeout(patience, connect_again(lp, folder + "/s")));
  });
}

TEST_CASE("a loop that is destroyed with all that waits on it") {
  let_each_call_fail([](const std::string& folder) {
    loop lp(that_sleeps());
    scope work{lp};
    work.on_error([](std::exception_ptr) {});
    work.spawn(meet(lp, folder + "/a", detail::default_bells));
    work.spawn(serve_and_call(lp, folder + "/b"));
    lp.run(sleep_for_a_moment());
  });
}

}  // TEST_SUITE("inject native")
