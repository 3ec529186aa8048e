// SPDX-License-Identifier: BSL-1.0
// Who connects, who is turned away, and who comes with nothing good in mind.
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/applies.hpp"
#include "support/asio_meeting.hpp"
#include "support/hostile_handles.hpp"
#include "support/no_descriptors_left.hpp"
#include "support/raw_peer.hpp"
#include "support/system_objects.hpp"

TEST_SUITE("asio connect") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

connect_options patient_for(std::chrono::nanoseconds limit) {
  connect_options o;
  o.timeout = limit;
  return o;
}

/// The error of connecting there, while `listener` has an accept pending.
std::error_code refused(net::io_context& context, asio_listener& listener,
                        const connect_options& options = {}) {
  pending_channel nobody(context);
  listener.async_accept(nobody.handler());
  attempt client(context, listener.path(), options);
  REQUIRE(run_until(context, [&] { return client.ended(); }));
  CHECK_FALSE(nobody.ended());
  CHECK_FALSE(client.ch.is_open());
  listener.cancel();
  REQUIRE(run_until(context, [&] { return nobody.ended(); }));
  CHECK(nobody.error == net::error::operation_aborted);
  return std_error(client.error);
}

}  // namespace

// -- connecting --

TEST_CASE("nobody there is no_server after the timeout; what is wrong for good is told at once") {
  net::io_context context;
  const temporary_folder folder;
  const auto error_of = [&](const std::string& name, const connect_options& options) {
    attempt client(context, name, options);
    CHECK_FALSE(client.ended());  // never from within the initiating function
    CHECK(run_until(context, [&] { return client.ended(); }));
    CHECK(client.calls == 1);
    return std_error(client.error);
  };
  const auto begin = clock_type::now();
  CHECK(error_of(folder / "nobody", patient_for(40ms)) == errc::no_server);
  CHECK(clock_type::now() - begin >= 20ms);
  CHECK(error_of(folder / "nobody", patient_for(0ms)) == errc::no_server);
  CHECK(error_of("not a name", patient_for(1h)) == errc::bad_name);
  for (const std::uint64_t bytes :
       {std::uint64_t{0}, std::uint64_t{5000}, std::uint64_t{1} << 31}) {
    connect_options options = patient_for(1h);
    options.ring_bytes = bytes;
    CHECK(error_of(folder / "nobody", options) == errc::bad_ring_size);
  }
  context.restart();
  CHECK(context.run() == 0);
}

TEST_CASE("connecting that starts before the server listens succeeds once it does") {
  net::io_context context;
  const temporary_folder folder;
  attempt early(context, folder / "late");
  let_go_on(context, 20ms);
  CHECK_FALSE(early.ended());
  {
    asio_listener l(context, folder / "late");
    pending_channel server(context);
    l.async_accept(server.handler());
    REQUIRE(run_until(context, [&] { return server.ended() && early.ended(); }));
    asio_pair p(std::move(server.ch), std::move(early.ch));
    CHECK(works(context, p));
  }
  attempt early_too(context, folder / "native");
  let_go_on(context, 5ms);
  native_thread server([path = folder / "native"](loop& lp) -> task<void> {
    listener l = listener::bind(lp, path);
    channel ch = co_await l.accept();
    co_await ch.send("at last");
    expect(!co_await ch.recv(), "the end");
  });
  CHECK(run_until(context, [&] { return early_too.ended(); }));
  CHECK(receive(context, early_too.ch).text == "at last");
  early_too.ch.close();
  CHECK(server.join().empty());
}

TEST_CASE("a server that takes the connection but does not answer is given up after the timeout") {
  net::io_context context;
  const temporary_folder folder;
  std::error_code error;
  const sys::local_listener silent = sys::local_listener::bind(folder / "silent", false, error);
  REQUIRE_FALSE(error);
  attempt client(context, folder / "silent", patient_for(20ms));
  CHECK(run_until(context, [&] { return client.ended(); }));
  CHECK(client.error == net::error::timed_out);
}

TEST_CASE("connecting and accepting can be cancelled at any point, and leave nothing behind") {
  net::io_context context;
  const temporary_folder folder;
  std::error_code error;
  const sys::local_listener silent = sys::local_listener::bind(folder / "silent", false, error);
  REQUIRE_FALSE(error);
  asio_listener l(context, folder / "good");
  { asio_pair p = meet(context, l); }  // what is made once is made before counting
  context.restart();
  context.run();
  const int before = open_descriptors();
  for (const char* name : {"nobody", "silent", "good"})
    for (int steps = 0; steps < 12; ++steps) {
      CAPTURE(std::string(name));
      CAPTURE(steps);
      pending_channel client(context), server(context);
      net::cancellation_signal stop_client, stop_server;
      l.async_accept(net::bind_cancellation_slot(stop_server.slot(), server.handler()));
      async_connect(context, folder / name,
                    net::bind_cancellation_slot(stop_client.slot(), client.handler()));
      context.restart();
      for (int i = 0; i < steps; ++i) context.poll_one();
      (steps % 2 == 0 ? stop_client : stop_server).emit(net::cancellation_type::total);
      (steps % 2 == 0 ? stop_server : stop_client).emit(net::cancellation_type::terminal);
      CHECK(run_until(context, [&] { return client.ended() && server.ended(); }));
      CHECK(client.calls == 1);
      CHECK(server.calls == 1);
      if (client.error) CHECK(client.error == net::error::operation_aborted);
      if (server.error) CHECK(server.error == net::error::operation_aborted);
      CHECK(client.ch.is_open() == !client.error);
      CHECK(server.ch.is_open() == !server.error);
    }
  // Those that the server has welcomed meanwhile are there to be accepted, and to be found closed
  // or dead.
  for (;;) {
    pending_channel late(context);
    l.async_accept(late.handler());
    let_go_on(context, 20ms);
    if (!late.ended()) {
      l.cancel();
      let_go_on(context, 20ms);
      break;
    }
    const net_error_code end = receive(context, late.ch).error;
    CHECK((end == net::error::eof || end == net::error::connection_reset));
  }
  CHECK(l.clients() == 0);
  CHECK(open_descriptors() == before);
}

TEST_CASE("connecting without a descriptor to begin with tells the handler" *
          needs_scarce_handles) {
  net::io_context context;
  const temporary_folder folder;
  { asio_listener l(context, folder / "nobody"); }  // what Asio makes once is made before counting
  const int before = open_descriptors();
  pending_channel client(context);
  {
    const no_descriptors_left scarce;
    async_connect(context, folder / "nobody", client.handler());
  }
  CHECK_FALSE(client.ended());
  context.run();
  CHECK(client.error == net::error::no_descriptors);
  CHECK(open_descriptors() == before);
}

TEST_CASE("connecting that runs out of descriptors later says so, and leaves nothing behind" *
          needs_scarce_handles) {
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "good");
  { asio_pair p = meet(context, l); }
  context.restart();
  context.run();
  const int before = open_descriptors();
  for (std::size_t spare = 0; spare < 12; ++spare) {
    CAPTURE(spare);
    pending_channel client(context), server(context);
    l.async_accept(server.handler());
    async_connect(context, l.path(), patient_for(patience), client.handler());
    {
      const no_descriptors_left scarce(spare);
      CHECK(run_until(context, [&] { return client.ended(); }));
    }
    // Its own lack, or the server's, which has some in reserve to say so.
    CAPTURE(client.error.message());
    CHECK((!client.error || client.error == net::error::no_descriptors ||
           std_error(client.error) == errc::refused_no_resources));
    l.cancel();
    CHECK(run_until(context, [&] { return server.ended(); }));
    let_go_on(context, 60ms);  // the listener's pause, after which it accepts again
  }
  for (;;) {  // those whose client gave up
    pending_channel late(context);
    l.async_accept(late.handler());
    let_go_on(context, 100ms);
    if (late.ended()) continue;
    l.cancel();
    let_go_on(context, 10ms);
    break;
  }
  CHECK(open_descriptors() == before);
  asio_pair p = meet(context, l);
  CHECK(works(context, p));
}

// -- refusals --

TEST_CASE(
    "a client more than allowed is refused by that name, and welcome again once another one has left") {
  net::io_context context;
  const temporary_folder folder;
  listener_options options;
  options.max_clients = 1;
  asio_listener l(context, folder / "few", options);
  message kept;
  {
    asio_pair p = meet(context, l);
    CHECK(l.clients() == 1);
    CHECK(refused(context, l) == errc::refused_too_many);
    CHECK_FALSE(p.client.try_send(net::buffer("kept", 4)));
    net_error_code error;
    kept = p.server.try_recv(error);
    CHECK(works(context, p));
  }
  CHECK(kept.text() == "kept");  // a message that lives on is no client
  CHECK(l.clients() == 0);
  asio_pair p = meet(context, l);
  CHECK(works(context, p));
}

TEST_CASE(
    "a client more than one user may have is refused by that name, until another one has left") {
  net::io_context context;
  const temporary_folder folder;
  listener_options options;
  options.max_clients_per_user = 1;
  asio_listener l(context, folder / "fair", options);
  {
    asio_pair p = meet(context, l);
    CHECK(refused(context, l) == errc::refused_too_many_of_user);
    CHECK(works(context, p));
  }
  asio_pair p = meet(context, l);
  CHECK(works(context, p));
}

TEST_CASE("rings outside of the server's limits are refused by that name") {
  net::io_context context;
  const temporary_folder folder;
  listener_options options;
  options.min_ring_bytes = 8192;
  options.default_ring_bytes = 16384;
  options.max_ring_bytes = 32768;
  asio_listener l(context, folder / "sizes", options);
  connect_options of_client;
  for (const std::uint64_t bytes : {4096, 65536}) {
    of_client.ring_bytes = bytes;
    CHECK(refused(context, l, of_client) == errc::refused_ring_size);
  }
  of_client.ring_bytes = 8192;
  {
    asio_pair p = meet(context, l, of_client);
    CHECK(p.client.max_claim() == 8192 / 8 * 3 - 8);
    CHECK(p.server.max_claim() == 16384 / 8 * 3 - 8);
  }
  of_client.peer_ring_bytes = 1 << 20;
  {
    asio_pair p = meet(context, l, of_client);
    CHECK(p.server.max_claim() == 32768 / 8 * 3 - 8);
  }
  of_client.peer_ring_bytes = 5000;
  CHECK(refused(context, l, of_client) == errc::refused_ring_size);
}

TEST_CASE("the authorizer decides, by who the client is; when it throws the answer is no") {
  net::io_context context;
  const temporary_folder folder;
  int asked = 0;
  listener_options options;
  options.authorize = [&](const sys::peer_identity& who) {
    CHECK(who.user == sys::current_user());
    CHECK(static_cast<std::uint64_t>(who.process) == sys::current_process());
    if (++asked == 2) throw std::runtime_error("no idea");
    return asked == 3;
  };
  asio_listener l(context, folder / "guarded", options);
  CHECK(refused(context, l) == errc::refused_unauthorized);
  CHECK(refused(context, l) == errc::refused_unauthorized);
  asio_pair p = meet(context, l);
  CHECK(asked == 3);
  CHECK(works(context, p));
}

TEST_CASE("without a bell in common there is no connection") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "bells");
  connect_options options;
  options.bells = 0;
  CHECK(refused(context, l, options) == errc::refused_bell);
  // No Asio executor can wait on a futex.
  options.bells = sys::bell_bit(sys::bell_kind::futex);
  CHECK(refused(context, l, options) == errc::refused_bell);
}

// -- clients that are no good --

TEST_CASE(
    "a client that says nothing delays nobody, and is hung up on after the time for the handshake") {
  net::io_context context;
  const temporary_folder folder;
  listener_options options;
  options.handshake_timeout = 300ms;
  asio_listener l(context, folder / "patient", options);
  const auto begin = clock_type::now();
  std::vector<raw_peer> silent;
  for (int i = 0; i < 5; ++i) silent.push_back(raw_peer::connected_to(l.path()));
  const auto hung_up = [](raw_peer& s) { return s.hangs_up(0ms); };
  asio_pair p = meet(context, l);
  CHECK(works(context, p));
  // On a machine so busy that the time was over meanwhile, this says nothing.
  if (clock_type::now() - begin < options.handshake_timeout)
    CHECK(std::ranges::none_of(silent, hung_up));

  pending_channel another(context);
  l.async_accept(another.handler());
  CHECK(run_until(context, [&] { return std::ranges::all_of(silent, hung_up); }));
  CHECK(clock_type::now() - begin >= options.handshake_timeout);
  CHECK_FALSE(another.ended());
  CHECK(l.clients() == 1);
  CHECK(works(context, p));
}

TEST_CASE("more silent clients than may be half open keep the others waiting for their time only") {
  net::io_context context;
  const temporary_folder folder;
  listener_options options;
  options.max_half_open = 4;
  options.handshake_timeout = 30ms;
  asio_listener l(context, folder / "patient", options);
  std::vector<raw_peer> silent;
  for (int i = 0; i < 8; ++i) silent.push_back(raw_peer::connected_to(l.path()));
  asio_pair p = meet(context, l);
  CHECK(works(context, p));
  CHECK(l.clients() == 1);
}

TEST_CASE(
    "clients that say nonsense are hung up on, keep nobody waiting, and leave nothing behind") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "patient");
  { asio_pair p = meet(context, l); }  // what is made once is made before counting
  pending_channel next(context);
  l.async_accept(next.handler());
  let_go_on(context, 5ms);
  const int before = open_descriptors();

  std::mt19937_64 random(4);
  const auto good = handshake::encode(raw_client::greeting());
  for (int i = 0; i < 100; ++i) {
    CAPTURE(i);
    raw_peer attacker = raw_peer::connected_to(l.path());
    switch (i % 5) {
      case 0: {
        std::vector<std::byte> garbage(1 + random() % 200);
        for (auto& b : garbage) b = static_cast<std::byte>(random());
        attacker.send(garbage);
        break;
      }
      case 1: attacker.send(handshake::frame(handshake::welcome{})); break;
      case 2: attacker.send(good.bytes().first(random() % good.size)); break;
      case 3: attacker.send(good.bytes()); break;  // without the handles
      case 4: break;
    }
    if (says_no_more(attacker))
      CHECK(run_until(context, [&] { return attacker.hangs_up(0ms); }));
    else
      let_go_on(context, 1ms);
  }
  CHECK_FALSE(next.ended());
  CHECK(l.clients() == 0);
  CHECK(run_until(context, [&] { return open_descriptors() <= before; }));

  attempt client(context, l.path());
  CHECK(run_until(context, [&] { return next.ended() && client.ended(); }));
  asio_pair p(std::move(next.ch), std::move(client.ch));
  CHECK(works(context, p));
}

TEST_CASE("a client that sends its greeting byte by byte is served") {
  for (const auto kind : bells_here()) {
    CAPTURE(std::string(sys::name_of(kind)));
    net::io_context context;
    const temporary_folder folder;
    asio_listener l(context, folder / "slow");
    pending_channel server(context);
    l.async_accept(server.handler());
    const handshake::hello hello = raw_client::greeting(kind);
    const auto greeting = handshake::encode(hello);
    raw_peer client = raw_peer::connected_to(l.path());
    std::error_code error;
    const sys::region own = detail::create_ring_region(raw_client::ring_bytes, error);
    REQUIRE_FALSE(error);
    const sys::event_bell bell = make_bell();
    const sys::native_handle both[] = {own.shared_handle(), bell.native()};
    const std::span<const sys::native_handle> handles(both, handshake::expected_handles(hello));
    for (std::size_t i = 0; i < greeting.size; ++i) {
      CHECK_FALSE(server.ended());
      CHECK(client.send(greeting.bytes().subspan(i, 1),
                        i == 0 ? handles : std::span<const sys::native_handle>()));
      if (i + 1 < greeting.size) let_go_on(context, 1ms);
    }
    CHECK(run_until(context, [&] { return server.ended(); }));
    CHECK(server.succeeded());
    CHECK(client.answer().has_value());
  }
}

}  // TEST_SUITE("asio connect")
