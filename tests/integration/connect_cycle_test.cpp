// SPDX-License-Identifier: BSL-1.0
// Connections come and go: nothing of them stays, in either process; and who may not connect hears
// why.
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/applies.hpp"
#include "support/patient.hpp"
#include "support/raw_peer.hpp"
#include "support/resources.hpp"

TEST_SUITE("connect_cycle") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

// Echoes; the message "resources" is answered with what the server holds.
task<void> session(channel ch) {
  while (auto m = co_await ch.recv()) {
    if (m->text() == "resources") {
      const resources held = resources::now();
      co_await ch.send(std::as_bytes(std::span(&held, 1)));
    } else {
      co_await ch.send(m->bytes());
    }
  }
}

task<void> serve(loop& lp, std::string path, listener_options options) {
  scope clients{lp};
  clients.on_error([](std::exception_ptr) {});  // that a client dies is its own matter
  listener l = listener::bind(lp, path, std::move(options));
  for (;;) clients.spawn(session(co_await l.accept()));
}

/// What a server's options have that others do not; `test` is the process of the test.
using terms = void (*)(listener_options&, std::uint64_t test);
void as_always(listener_options&, std::uint64_t) {}

int be_server(const std::string& path, terms own, std::uint64_t test,
              std::chrono::milliseconds start_after) {
  std::this_thread::sleep_for(start_after);
  listener_options options;
  own(options, test);
  loop lp;
  lp.run(serve(lp, path, std::move(options)));
  return 0;
}

/// A server in a process of its own, until the end of the test.
class echo_server {
public:
  explicit echo_server(terms own = &as_always, std::chrono::milliseconds start_after = 0ms)
      : process_(&be_server, path(), own, sys::current_process(), start_after) {}
  std::string path() const { return folder_ / "server"; }

private:
  temporary_folder folder_;
  child_process process_;
};

task<void> cycle(loop& lp, std::string path) {
  channel ch = co_await connect(lp, path, patient());
  co_await ch.send("hello");
  {
    const auto m = co_await ch.recv();
    expect(m && m->text() == "hello", "an echo");
  }
  ch.close();
}

task<void> cycles(loop& lp, std::string path, int n) {
  for (int i = 0; i < n; ++i) co_await cycle(lp, path);
}

int be_client(const std::string& path) {
  loop lp;
  lp.run(cycle(lp, path));
  return 0;
}

task<resources> resources_of_server(loop& lp, std::string path) {
  channel ch = co_await connect(lp, path, patient());
  co_await ch.send("resources");
  const auto m = co_await ch.recv();
  resources held;
  expect(m && m->size() == sizeof held, "an answer");
  std::memcpy(&held, m->data(), sizeof held);
  co_return held;
}

// The server may notice a moment after us that a channel has ended.
task<bool> server_holds_no_more_than(loop& lp, std::string path, resources before) {
  for (const auto until = clock_type::now() + patience; clock_type::now() < until;) {
    const resources now = co_await resources_of_server(lp, path);
    if (!now.more_than(before)) co_return true;
    co_await sleep_for(5ms);
  }
  co_return false;
}

task<std::error_code> error_of(task<channel> connecting) {
  co_return (co_await as_result(std::move(connecting))).error();
}

task<std::error_code> error_of_two(loop& lp, std::string path) {
  channel first = co_await connect(lp, path, patient());
  const auto error = co_await error_of(connect(lp, path, patient()));
  co_await first.send("still here");
  expect((co_await first.recv()).has_value(), "the first client to be served");
  co_return error;
}

template <class F>
std::chrono::milliseconds time_of(F f) {
  const auto begin = clock_type::now();
  f();
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_type::now() - begin);
}

}  // namespace

TEST_CASE("connections by the hundred leave nothing behind in either process") {
  constexpr int rounds = 10, per_round = slow_here ? 20 : 100;
  const echo_server server;
  loop lp;
  lp.run(cycles(lp, server.path(), 2 * per_round));
  const resources server_before = lp.run(resources_of_server(lp, server.path()));
  const resources before = resources::now();
  for (int round = 0; round < rounds; ++round) {
    lp.run(cycles(lp, server.path(), per_round));
    const resources after = resources::now();
    CHECK(after.descriptors <= before.descriptors + handles_of_the_system);
    CHECK(after.regions == before.regions);
    CHECK_FALSE(after.more_than(before));
  }
  CHECK(lp.run(server_holds_no_more_than(lp, server.path(), server_before)));
  const resources server_after = lp.run(resources_of_server(lp, server.path()));
  const auto grown = resources::now().resident_kib - before.resident_kib;
  const auto server_grown = server_after.resident_kib - server_before.resident_kib;
  MESSAGE("the client's memory has grown by " << grown << " KiB, the server's by " << server_grown
                                              << " KiB, by " << rounds * per_round
                                              << " connections");
  if (memory_is_kept) return;
  CHECK(grown < 512);
  CHECK(server_grown < 512);
}

TEST_CASE("a connection whose bells are the socket costs one descriptor on each side" *
          needs_socket_bell) {
  const echo_server server(
      [](listener_options& o, auto) { o.bells = sys::bell_bit(sys::bell_kind::socket); });
  loop lp;
  connect_options options = patient();
  options.bells = sys::bell_bit(sys::bell_kind::socket);
  const resources server_before = lp.run(resources_of_server(lp, server.path()));
  const resources before = resources::now();
  constexpr int count = 50;
  std::vector<channel> held;
  for (int i = 0; i < count; ++i) held.push_back(lp.run(connect(lp, server.path(), options)));
  CHECK(resources::now().descriptors == before.descriptors + count);
  // The connection that asks has default bells, before and after.
  CHECK(lp.run(resources_of_server(lp, server.path())).descriptors ==
        server_before.descriptors + count);
}

TEST_CASE("a client that comes before its server waits for it") {
  const echo_server server(&as_always, 300ms);
  loop lp;
  const auto took = time_of([&] { lp.run(cycle(lp, server.path())); });
  CHECK(took >= 250ms);
}

TEST_CASE("connecting to nobody fails with no_server when its time is up") {
  const temporary_folder folder;
  loop lp;
  connect_options options;
  options.timeout = 150ms;
  std::error_code error;
  const auto took =
      time_of([&] { error = lp.run(error_of(connect(lp, folder / "nobody", options))); });
  CHECK(error == errc::no_server);
  CHECK(took >= 40ms);  // it gives up when the next attempt would come too late
}

TEST_CASE(
    "one client more than the server allows gets refused_too_many, and may come when another has gone") {
  const echo_server server([](listener_options& o, auto) { o.max_clients = 1; });
  loop lp;
  CHECK(lp.run(error_of_two(lp, server.path())) == errc::refused_too_many);
  CHECK(eventually([&] { return !lp.run(error_of(connect(lp, server.path(), patient()))); }));
}

TEST_CASE("a ring beyond the server's limits gets refused_ring_size, with the limits in the text") {
  const echo_server server([](listener_options& o, auto) {
    o.min_ring_bytes = 8192;
    o.max_ring_bytes = o.default_ring_bytes = 16384;
  });
  loop lp;
  for (const std::uint64_t size : {4096, 32768}) {
    connect_options wish = patient();
    wish.ring_bytes = size;
    try {
      lp.run(connect(lp, server.path(), wish));
      FAIL("connected");
    } catch (const std::system_error& e) {
      CHECK(e.code() == errc::refused_ring_size);
      CHECK(std::string(e.what()).find("8192 to 16384") != std::string::npos);
    }
  }
  connect_options right = patient();
  right.ring_bytes = 8192;
  CHECK_FALSE(lp.run(error_of(connect(lp, server.path(), right))));
}

TEST_CASE("a client that the authorizer does not know gets refused_unauthorized") {
  const echo_server server([](listener_options& o, std::uint64_t test) {
    o.authorize = [test](const sys::peer_identity& who) {
      if (who.user != sys::current_user()) throw std::runtime_error("a stranger");
      return static_cast<std::uint64_t>(who.process) != test;
    };
  });
  loop lp;
  CHECK(lp.run(error_of(connect(lp, server.path(), patient()))) == errc::refused_unauthorized);
  child_process other(&be_client, server.path());
  CHECK(other.wait() == 0);
}

TEST_CASE("an authorizer that throws lets nobody in") {
  const echo_server server([](listener_options& o, auto) {
    o.authorize = [](const sys::peer_identity&) -> bool { throw std::runtime_error("undecided"); };
  });
  loop lp;
  CHECK(lp.run(error_of(connect(lp, server.path(), patient()))) == errc::refused_unauthorized);
}

TEST_CASE("a second server under the same name gets name_in_use, and the first goes on") {
  const echo_server server;
  loop lp;
  lp.run(cycle(lp, server.path()));
  try {
    const listener second = listener::bind(lp, server.path());
    FAIL("bound");
  } catch (const std::system_error& e) {
    CHECK(e.code() == errc::name_in_use);
  }
  lp.run(cycle(lp, server.path()));
}

TEST_CASE("a connect that is cancelled leaves nothing behind") {
  const temporary_folder folder;
  std::error_code failed;
  const sys::local_listener silent = sys::local_listener::bind(folder / "silent", false, failed);
  REQUIRE_FALSE(failed);
  loop lp;
  const auto cancelled_soon = [&](const std::string& path,
                                  std::chrono::nanoseconds after) -> std::error_code {
    return lp.run(error_of(timeout(after, connect(lp, path))));
  };
  CHECK(cancelled_soon(folder / "nobody", 1ms) == errc::timed_out);
  const resources before = resources::now();
  for (int i = 0; i < 50; ++i) {
    CHECK(cancelled_soon(folder / "nobody", i * 100us) == errc::timed_out);
    CHECK(cancelled_soon(folder / "silent", i * 100us) == errc::timed_out);
  }
  const resources after = resources::now();
  CHECK(after.descriptors <= before.descriptors + handles_of_the_system);
  CHECK(after.regions == before.regions);
}

TEST_CASE("a server that never answers is given up with timed_out") {
  const temporary_folder folder;
  std::error_code failed;
  const sys::local_listener silent = sys::local_listener::bind(folder / "silent", false, failed);
  REQUIRE_FALSE(failed);
  loop lp;
  connect_options options;
  options.timeout = 100ms;
  std::error_code error;
  const auto took =
      time_of([&] { error = lp.run(error_of(connect(lp, folder / "silent", options))); });
  CHECK(error == errc::timed_out);
  CHECK(took >= 90ms);
}

TEST_CASE("clients that do not greet, or do so slowly, delay nobody, and are dropped in time") {
  const auto frame = handshake::encode(raw_client::greeting());
  loop lp;
  {
    const echo_server patient_server([](listener_options& o, auto) { o.handshake_timeout = 1h; });
    std::vector<raw_peer> silent;
    for (int i = 0; i < 20; ++i) silent.push_back(raw_peer::connected_to(patient_server.path()));
    raw_peer slow = raw_peer::connected_to(patient_server.path());
    CHECK(slow.send(frame.bytes().first(1)));
    lp.run(cycles(lp, patient_server.path(),
                  20));  // whoever had to wait for the others would do so for an hour
    CHECK_FALSE(slow.hangs_up(0ms));
    for (raw_peer& one : silent) CHECK_FALSE(one.hangs_up(0ms));
  }
  const echo_server server([](listener_options& o, auto) { o.handshake_timeout = 500ms; });
  std::vector<raw_peer> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(raw_peer::connected_to(server.path()));
  raw_peer slow = raw_peer::connected_to(server.path());
  // A byte every 200 ms would take 9.6 s.
  std::size_t sent = 0;
  while (sent < frame.size && !poll_for(slow.socket.native(), POLLIN, 200ms) &&
         slow.send(frame.bytes().subspan(sent, 1)))
    ++sent;
  CHECK(sent < frame.size);
  CHECK(slow.hangs_up());
  for (raw_peer& one : silent) CHECK(one.hangs_up());
  lp.run(cycle(lp, server.path()));
}

TEST_CASE(
    "of more half-open connections than allowed the oldest give way, and honest clients get through") {
  const echo_server server([](listener_options& o, auto) {
    o.handshake_timeout = std::chrono::hours(1);
    o.max_half_open = 20;
  });
  loop lp;
  lp.run(cycle(lp, server.path()));
  std::vector<raw_peer> silent;
  for (int i = 0; i < 12; ++i) {
    silent.push_back(raw_peer::connected_to(server.path()));
    lp.run(cycle(lp, server.path()));  // whoever had to wait for the others would do so for an hour
  }
  // Of one user, who has a quarter of the places; an honest client may have needed one for a
  // moment.
  for (int i = 0; i < 7; ++i) CHECK(silent[static_cast<std::size_t>(i)].hangs_up());
  for (int i = 8; i < 12; ++i) CHECK_FALSE(silent[static_cast<std::size_t>(i)].hangs_up(0ms));
}

TEST_CASE("a client that hangs up during its handshake costs the server nothing") {
  const echo_server server;
  loop lp;
  lp.run(cycles(lp, server.path(), 20));
  const resources before = lp.run(resources_of_server(lp, server.path()));
  for (int i = 0; i < 200; ++i) {
    raw_peer gone = raw_peer::connected_to(server.path());
    gone.send(
        handshake::encode(raw_client::greeting()).bytes().first(static_cast<std::size_t>(i % 48)));
  }
  CHECK(lp.run(server_holds_no_more_than(lp, server.path(), before)));
}

}  // TEST_SUITE("connect_cycle")
