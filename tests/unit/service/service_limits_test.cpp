// SPDX-License-Identifier: BSL-1.0
// What a server refuses, and what becomes of idle clients.
#include <ringbell/coro/timeout.hpp>
#include <ringbell/service/statistics.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("service_limits") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<reply> echo(request r) { co_return reply(r.bytes()); }

std::error_code why_not(loop& lp, const std::string& path, client_options options = {}) {
  std::error_code code;
  try {
    lp.run([](loop& on, std::string name, client_options o) -> task<void> {
      task<client> connecting = client::connect(on, std::move(name), o);
      (void)co_await std::move(connecting);
    }(lp, path, options));
  } catch (const std::system_error& e) {
    code = e.code();
  }
  return code;
}

}  // namespace

TEST_CASE("requests beyond the limit are refused by its name, and the others go on") {
  on_a_loop([](loop& lp) -> task<void> {
    event_flag go;
    server_options options;
    options.max_in_flight = 3;
    served s(
        lp,
        [&](request r) -> task<reply> {
          co_await go.wait();
          co_return reply(r.bytes());
        },
        options);
    client c = co_await s.connected();
    client other = co_await s.connected();
    beside a(lp, c.call(1, "a"));
    beside b(lp, c.call(1, "b"));
    call_stream stream = c.open(1, "c");
    co_await settle();
    const auto refused = co_await error_of(c.call(1, "d"));
    CHECK(refused.first == errc::refused_in_flight);
    CHECK_FALSE(refused.second.starts_with("(not"));
    beside of_other(lp, other.call(1, "e"));
    co_await settle();
    go.set();
    CHECK((co_await a.get()).has_value());
    CHECK((co_await b.get()).has_value());
    CHECK((co_await of_other.get()).has_value());
    (void)co_await stream.reply();
    const payload p = co_await c.call(1, "f");
    CHECK(p.text() == "f");
  });
}

TEST_CASE(
    "bytes of requests beyond the limit are refused by its name; one request alone is always taken") {
  on_a_loop([](loop& lp) -> task<void> {
    event_flag go;
    server_options options;
    options.max_buffered_bytes = 6000;
    served s(
        lp,
        [&](request r) -> task<reply> {
          co_await go.wait();
          co_return reply::of(r.size());
        },
        options);
    client c = co_await s.connected();
    const std::string large(5000, 'x');
    beside first(lp, c.call(1, large));
    co_await settle();
    const auto refused = co_await error_of(c.call(1, "x"));
    CHECK(refused.first == errc::refused_bytes);
    go.set();
    const auto got = co_await first.get();
    REQUIRE(got.has_value());
    CHECK(got->as<std::size_t>() == 5000);
    CHECK((co_await c.call(1, large)).as<std::size_t>() == 5000);
  });
}

TEST_CASE(
    "a client too many, a ring of a size that is not taken, and who is not allowed are refused by name") {
  loop lp;
  server_options options;
  options.listening.max_clients = 1;
  served full(lp, echo, options);
  const auto first = lp.run(full.connected());
  CHECK(why_not(lp, full.path()) == errc::refused_too_many);

  server_options of_rings;
  of_rings.listening.max_ring_bytes = 8192;
  of_rings.listening.default_ring_bytes = 8192;
  served small(lp, echo, of_rings);
  CHECK(why_not(lp, small.path()) == errc::refused_ring_size);

  server_options closed;
  closed.listening.authorize = [](const sys::peer_identity&) { return false; };
  served shut(lp, echo, closed);
  CHECK(why_not(lp, shut.path()) == errc::refused_unauthorized);
}

TEST_CASE("a request longer than the server takes fails at the client, before anything is sent") {
  on_a_loop([](loop& lp) -> task<void> {
    server_options options;
    options.listening.max_message = 1000;
    served s(lp, echo, options);
    client c = co_await s.connected();
    const std::string large(1000, 'x');
    const auto failed = co_await error_of(c.call(1, large));
    CHECK(failed.first == errc::message_too_large);
    CHECK(failed.second.starts_with("(not from the service)"));
    CHECK(failed.second.find("a request may have 1000 bytes here, its metadata 4096") !=
          std::string::npos);
    CHECK(c.statistics().messages_sent == 0);
    const payload p = co_await c.call(1, "short");
    CHECK(p.text() == "short");
  });
}

TEST_CASE(
    "an idle client is dropped, and told so at its next call; one that calls, or waits for a reply, stays") {
  on_a_loop([](loop& lp) -> task<void> {
    server_options options;
    options.idle_timeout =
        // so that one that calls every millisecond stays, be the machine as busy as it likes
        500ms;
    const auto begin = std::chrono::steady_clock::now();
    served s(
        lp,
        [](request r) -> task<reply> {
          if (r.method() == 1) co_await sleep_for(1h);
          co_return reply(r.bytes());
        },
        options);
    client idle = co_await s.connected();
    client again = co_await s.connected([] {
      client_options o;
      o.reconnect = reconnect_policy::with_backoff;
      return o;
    }());
    client waiting = co_await s.connected();
    client active = co_await s.connected();
    beside long_call(lp, waiting.call(1));
    while (idle.connected() || again.connected()) {
      const payload p = co_await active.call(2, "x");
      REQUIRE(p.text() == "x");
      REQUIRE(std::chrono::steady_clock::now() - begin < patience);
      co_await sleep_for(1ms);
    }
    CHECK(std::chrono::steady_clock::now() - begin >= options.idle_timeout);
    const auto dropped = co_await as_result(idle.call(2));
    CHECK(dropped.error() == errc::dropped_idle);
    const payload p = co_await timeout(patience, again.call(2, "again"));
    CHECK(p.text() == "again");
    CHECK(waiting.connected());
    CHECK(active.connected());
    CHECK_FALSE(long_call.ended());
  });
}

TEST_CASE("with no idle timeout nobody is dropped") {
  on_a_loop([](loop& lp) -> task<void> {
    server_options options;
    options.idle_timeout = 0ns;
    served s(lp, echo, options);
    client c = co_await s.connected();
    co_await sleep_for(30ms);
    CHECK(c.connected());
    CHECK(lp.statistics().sleeps > 0);
  });
}

TEST_CASE("methods that are the library's own never reach the handler") {
  on_a_loop([](loop& lp) -> task<void> {
    int begun = 0;
    served s(lp, [&](request) -> task<reply> {
      ++begun;
      co_return reply();
    });
    client c = co_await s.connected();
    for (const std::uint32_t method :
         {service_frame::reserved_methods, service_frame::method_statistics + 1, 0xffff'ffffU}) {
      const auto refused = co_await error_of(c.call(method));
      CHECK(refused.first == errc::no_such_method);
    }
    CHECK(begun == 0);
    co_await c.call(service_frame::reserved_methods - 1);
    CHECK(begun == 1);
  });
}

TEST_CASE("the statistics have a row for each client") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      if (r.method() == 1) co_await sleep_for(1h);
      if (r.method() == 2) throw call_error(1, "no");
      co_return reply(r.bytes());
    });
    std::vector<client> many;
    for (int i = 0; i < 70; ++i)
      many.push_back(co_await s.connected());  // more than one part of them
    beside under_way(lp, many[3].call(1, "0123456789"));
    co_await settle();
    (void)co_await error_of(many[3].call(2));
    co_await many[3].call(5, "x");
    const payload all = co_await many[69].call(service_frame::method_statistics);
    REQUIRE(all.size() == 70 * sizeof(client_statistics));
    int busy = 0;
    int asking = 0;
    for (std::size_t i = 0; i < 70; ++i) {
      client_statistics row;
      std::memcpy(&row, all.bytes().data() + i * sizeof row, sizeof row);
      CHECK(row.process == sys::current_process());
      CHECK(row.user == sys::number_of(sys::current_user()));
      CHECK(row.ring_to_server == 64 << 10);
      CHECK(row.ring_to_client == 64 << 10);
      CHECK(row.connected_ns < 60'000'000'000U);
      asking += row.asking != 0;
      CHECK((row.asking == 0 || row.in_flight == 1));
      if (row.in_flight == 0 || row.requests == 1) continue;
      ++busy;
      CHECK(row.requests == 3);
      CHECK(row.failed == 1);
      CHECK(row.refused == 0);
      CHECK(row.in_flight == 1);
      CHECK(row.bytes_in_flight >= 10);  // and what a call takes beside its bytes
      CHECK(row.channel.messages_received == 3);
    }
    CHECK(busy == 1);
    CHECK(asking == 1);
  });
}

}  // TEST_SUITE("service_limits")
