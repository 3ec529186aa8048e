// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/sys/service_path.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "support/applies.hpp"
#include "support/bells.hpp"
#include "support/channel_pair.hpp"
#include "support/child_process.hpp"

TEST_SUITE("listener") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

connect_options patient_for(std::chrono::nanoseconds limit) {
  connect_options o;
  o.timeout = limit;
  return o;
}

std::error_code bind_error(loop& lp, const std::string& name, listener_options options = {}) {
  try {
    const listener l = listener::bind(lp, name, std::move(options));
    return {};
  } catch (const std::system_error& e) {
    return e.code();
  }
}

/// What connecting throws: code and text.
struct refusal {
  refusal(std::error_code c, std::string t) : code(c), text(std::move(t)) {}
  std::error_code code;
  std::string text;
};
task<refusal> refused(loop& lp, std::string path, connect_options options = {}) {
  try {
    co_await connect(lp, path, options);
  } catch (const std::system_error& e) {
    co_return refusal(e.code(), e.what());
  }
  co_return refusal({}, "");
}

task<channel_pair> meet(loop& lp, listener& l, connect_options options = {}) {
  auto ends = co_await when_all(l.accept(), connect(lp, l.path(), options));
  co_return channel_pair(std::move(std::get<0>(ends)), std::move(std::get<1>(ends)));
}

task<void> works(channel_pair& p) {
  co_await p.client.send("hello");
  CHECK((co_await p.server.recv())->text() == "hello");
  co_await p.server.send("welcome");
  CHECK((co_await p.client.recv())->text() == "welcome");
}

sys::local_socket knock(const std::string& path) {
  std::error_code error;
  sys::local_socket socket = sys::local_socket::connect(path, error);
  CHECK_FALSE(error);
  return socket;
}

}  // namespace

// -- names --

TEST_CASE("a name that a live listener has is in use, and is free again after it") {
  loop lp;
  const temporary_folder folder;
  {
    const listener l = listener::bind(lp, folder / "name");
    CHECK(l.path() == folder / "name");
    CHECK(l.clients() == 0);
    CHECK(bind_error(lp, folder / "name") == errc::name_in_use);
  }
  CHECK(left_in(folder).empty());
  CHECK_FALSE(bind_error(lp, folder / "name"));
}

TEST_CASE("names and options that cannot be used are refused" * needs_folders) {
  loop lp;
  const temporary_folder folder;
  CHECK(bind_error(lp, "") == errc::bad_name);
  CHECK(bind_error(lp, "not a name") == errc::bad_name);
  CHECK(bind_error(lp, folder / std::string(200, 'x')) == errc::bad_name);
  CHECK(bind_error(lp, folder / "no/such/folder") == errc::bad_name);
  listener_options options;
  options.min_ring_bytes = 128 << 10;
  CHECK(bind_error(lp, folder / "name", options) == errc::bad_ring_size);
  options = {};
  options.default_ring_bytes = 5000;
  CHECK(bind_error(lp, folder / "name", options) == errc::bad_ring_size);
}

// -- limits --

TEST_CASE("a client more than allowed is refused, and welcome again once another one has left") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener_options options;
    options.max_clients = 1;
    listener l = listener::bind(lp, folder / "few", options);
    message kept;
    {
      channel_pair p = co_await meet(lp, l);
      CHECK(l.clients() == 1);
      const refusal no = co_await refused(lp, l.path());
      CHECK(no.code == errc::refused_too_many);
      CHECK(no.text.find("1 clients") != std::string::npos);
      co_await p.client.send("kept");
      kept = *co_await p.server.recv();
      co_await works(p);
    }
    CHECK(kept.text() == "kept");
    CHECK(l.clients() == 0);
    channel_pair p = co_await meet(lp, l);
    co_await works(p);
  });
}

TEST_CASE("rings outside of the server's limits are refused, and the text tells the limits") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener_options options;
    options.min_ring_bytes = 8192;
    options.default_ring_bytes = 16384;
    options.max_ring_bytes = 32768;
    listener l = listener::bind(lp, folder / "sizes", options);
    for (const std::uint64_t bytes : {4096, 65536}) {
      connect_options of_client;
      of_client.ring_bytes = bytes;
      const refusal no = co_await refused(lp, l.path(), of_client);
      CHECK(no.code == errc::refused_ring_size);
      CHECK(no.text.find("8192 to 32768") != std::string::npos);
    }
    connect_options of_client;
    of_client.ring_bytes = 8192;
    channel_pair p = co_await meet(lp, l, of_client);
    CHECK(p.client.max_claim() == 8192 / 8 * 3 - 8);
    CHECK(p.server.max_claim() == 16384 / 8 * 3 - 8);
    of_client.peer_ring_bytes = 1 << 20;
    channel_pair wish = co_await meet(lp, l, of_client);
    CHECK(wish.server.max_claim() == 32768 / 8 * 3 - 8);
    of_client.peer_ring_bytes = 5000;
    CHECK((co_await refused(lp, l.path(), of_client)).code == errc::refused_ring_size);
  });
}

TEST_CASE("the authorizer decides, by who the client is; when it throws the answer is no") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    int asked = 0;
    listener_options options;
    options.authorize = [&](const sys::peer_identity& who) {
      CHECK(who.user == sys::current_user());
      CHECK(who.process == sys::current_process());
      if (++asked == 2) throw std::runtime_error("no idea");
      return asked == 3;
    };
    listener l = listener::bind(lp, folder / "guarded", options);
    CHECK((co_await refused(lp, l.path())).code == errc::refused_unauthorized);
    CHECK((co_await refused(lp, l.path())).code == errc::refused_unauthorized);
    channel_pair p = co_await meet(lp, l);
    CHECK(asked == 3);
    co_await works(p);
  });
}

TEST_CASE("more clients than may be half open at a time are all served, one after the other") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener_options options;
    options.max_half_open = 2;
    listener l = listener::bind(lp, folder / "narrow", options);
    std::vector<task<channel>> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(connect(lp, l.path()));
    beside connected_all(lp, when_all(std::move(clients)));
    std::vector<channel> accepted;
    for (int i = 0; i < 20; ++i) accepted.push_back(co_await l.accept());
    auto ends = co_await connected_all.get();
    REQUIRE(ends.has_value());
    for (auto& ch : *ends) co_await ch.send("here");
    for (auto& ch : accepted) CHECK((co_await ch.recv())->text() == "here");
    CHECK(l.clients() == 20);
  });
}

TEST_CASE("clients that say nothing, nonsense or good-bye keep nobody waiting") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener_options options;
    options.max_half_open = 4;
    options.handshake_timeout = 30ms;
    listener l = listener::bind(lp, folder / "patient", options);
    std::vector<sys::local_socket> silent;
    for (int i = 0; i < 6; ++i) silent.push_back(knock(l.path()));
    sys::local_socket nonsense = knock(l.path());
    CHECK(nonsense.send(detail::as_bytes("GET / HTTP/1.1\r\n\r\n")));
    { const sys::local_socket gone = knock(l.path()); }
    channel_pair p = co_await meet(lp, l);
    co_await works(p);
    CHECK(l.clients() == 1);
  });
}

TEST_CASE("time without limit can be given for the handshake and to connect") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener_options options;
    options.handshake_timeout = std::chrono::nanoseconds::max();
    listener l = listener::bind(lp, folder / "patient", options);
    channel_pair p = co_await meet(lp, l, patient_for(std::chrono::nanoseconds::max()));
    co_await works(p);
  });
}

// -- accepting --

TEST_CASE("a cancelled accept loses no client") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener l = listener::bind(lp, folder / "accept");
    CHECK((co_await as_result(timeout(1ms, l.accept()))).error() == errc::timed_out);
    for (int i = 0; i < 50; ++i) {
      beside client(lp, connect(lp, l.path()));
      std::optional<channel> server;
      for (int tries = 0; !server; ++tries) {
        beside accepted(lp, l.accept());
        for (int turns = (i + tries) % 7; turns >= 0; --turns) co_await yield();
        accepted.request_stop();
        auto r = co_await accepted.get();
        if (r) server = std::move(*r);
      }
      auto there = co_await client.get();
      REQUIRE(there.has_value());
      channel_pair p(std::move(*server), std::move(*there));
      co_await works(p);
    }
    CHECK(l.clients() == 0);
  });
}

TEST_CASE("a client that sends and hangs up before it is accepted is received to its end") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener l = listener::bind(lp, folder / "late");
    for (const auto kind : bells_here()) {
      connect_options of_client;
      of_client.bells = sys::bell_bit(kind);
      {
        channel client = co_await connect(lp, l.path(), of_client);
        co_await client.send("hello");
      }
      co_await let_park(lp);
      channel server = co_await l.accept();
      CHECK((co_await server.recv())->text() == "hello");
      CHECK_FALSE(co_await server.recv());
    }
  });
}

namespace {

int die_after_last_words(const std::string& path) {
  on_a_loop([&](loop& lp) -> task<void> {
    channel ch = co_await connect(lp, path);
    co_await ch.send("last words");
    std::_Exit(0);
  });
  return 1;
}

}  // namespace

TEST_CASE(
    "what a client has sent before it died is received, when it is accepted only afterwards") {
  const temporary_folder folder;
  const std::string path = folder / "late";
  child_process client(&die_after_last_words, path);
  on_a_loop([&](loop& lp) -> task<void> {
    listener l = listener::bind(lp, path);
    co_await readable(client.pid_handle());
    CHECK(client.wait() == 0);
    channel server = co_await l.accept();
    CHECK((co_await server.recv())->text() == "last words");
    CHECK((co_await as_result(server.recv())).error() == errc::peer_closed);
  });
}

TEST_CASE("a second accept is busy, and a destroyed one leaves nothing behind") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener l = listener::bind(lp, folder / "accept");
    {
      beside first(lp, l.accept());
      co_await settle();
      CHECK((co_await as_result(l.accept())).error() == errc::busy);
    }
    channel_pair p = co_await meet(lp, l);
    co_await works(p);
  });
}

TEST_CASE("a listener may end in the expression that has awaited it") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    std::optional<listener> l(listener::bind(lp, folder / "short"));
    beside client(lp, connect(lp, l->path()));
    const auto end = [&](channel&& ch) { return l.reset(), std::move(ch); };
    const channel ch = end(co_await l->accept());
    CHECK(ch);
    CHECK((co_await client.get()).has_value());
  });
}

TEST_CASE("a listener that is destroyed ends its pending accept with closed") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    std::optional<listener> l(listener::bind(lp, folder / "short"));
    beside accepted(lp, l->accept());
    co_await settle();
    l.reset();
    CHECK((co_await accepted.get()).error() == errc::closed);
    listener moved = listener::bind(lp, folder / "moved");
    beside again(lp, moved.accept());
    co_await settle();
    listener kept = std::move(moved);
    CHECK((co_await as_result(moved.accept())).error() == errc::closed);
    beside client(lp, connect(lp, kept.path()));
    CHECK((co_await again.get()).has_value());
    CHECK((co_await client.get()).has_value());
  });
}

TEST_CASE(
    "a listener that is destroyed drops handshakes and channels not accepted; accepted channels live on") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    std::optional<listener> l(listener::bind(lp, folder / "short"));
    channel_pair p = co_await meet(lp, *l);
    const sys::local_socket half_open = knock(l->path());
    co_await let_park(lp);
    auto waiting = co_await connect(lp, l->path());
    CHECK(l->clients() == 2);
    l.reset();
    CHECK_FALSE(co_await waiting.recv());
    co_await works(p);
  });
}

TEST_CASE("a bad name or folder says so with the name in the text" * needs_folders) {
  loop lp;
  std::string text;
  try {
    listener::bind(lp, "/no/such/folder/at all");
  } catch (const std::system_error& e) {
    text = e.what();
  }
  CHECK(text.find("/no/such/folder/at all") != std::string::npos);
}

}  // TEST_SUITE("listener")
