// SPDX-License-Identifier: BSL-1.0
// What goes while something waits on it: streams, clients, servers, connections.
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("service_lifetime") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

client_options small_rings() {
  client_options options;
  options.connection.ring_bytes = options.connection.peer_ring_bytes = 4096;
  return options;
}

task<reply> sum(request r) {
  std::size_t bytes = 0;
  while (auto part = co_await r.read()) bytes += part->size();
  co_return reply::of(bytes);
}

task<reply> refuse(request) { throw call_error(1, "no"); }

}  // namespace

TEST_CASE("a stream that goes while a write of it is half-way leaves the connection sound") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, sum);
    client c = co_await s.connected(small_rings());
    const std::string part(30'000, 'x');
    // After each number of turns: before the first fragment, in the midst, after the last.
    for (int turns = 0; turns < 60; ++turns) {
      CAPTURE(turns);
      auto stream = std::make_unique<call_stream>(c.open(1));
      auto writing =
          std::make_unique<beside<decltype(stream->write(part))>>(lp, stream->write(part));
      for (int i = 0; i < turns; ++i) co_await yield();
      if (turns % 2 == 0) writing.reset();
      stream.reset();
      if (writing) {
        const auto written = co_await timeout(patience, writing->get());
        CHECK((written.has_value() || written.error() == errc::closed ||
               written.error() == errc::cancelled));
      }
      call_stream other = c.open(1);
      other.finish();
      const payload last = co_await timeout(patience, other.reply());
      CHECK(last.as<std::size_t>() == 0);
    }
  });
}

TEST_CASE("a write that is half-way when the reply comes ends, and may be destroyed") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, refuse);
    client c = co_await s.connected(small_rings());
    const std::string part(60'000, 'x');
    for (const bool wait : {true, false}) {
      auto stream = std::make_unique<call_stream>(c.open(1));
      auto writing =
          std::make_unique<beside<decltype(stream->write(part))>>(lp, stream->write(part));
      const auto failed = co_await error_of(stream->reply());
      CHECK(failed.second == "no");
      if (wait) {
        const auto written = co_await timeout(patience, writing->get());
        CHECK(written.error() == errc::closed);
      }
      writing.reset();
      stream.reset();
      const auto again = co_await error_of(c.call(1));
      CHECK(again.second == "no");
    }
  });
}

TEST_CASE("who waits for the reply, or a part, of a stream that goes gets closed") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, sum);
    client c = co_await s.connected();
    auto stream = std::make_unique<call_stream>(c.open(1));
    beside replying(lp, stream->reply());
    beside reading(lp, stream->read());
    co_await settle();
    stream.reset();
    const auto last = co_await timeout(patience, replying.get());
    CHECK(last.error() == errc::closed);
    const auto part = co_await timeout(patience, reading.get());
    CHECK(part.error() == errc::closed);
  });
}

TEST_CASE("a call keeps its connection when the last client handle goes") {
  on_a_loop([](loop& lp) -> task<void> {
    event_flag go;
    served s(lp, [&](request r) -> task<reply> {
      co_await go.wait();
      co_return reply(r.bytes());
    });
    std::optional<client> c(co_await s.connected());
    beside calling(lp, c->call(echo_method, "kept"));
    std::optional<call_stream> stream(c->open(1));
    co_await settle();
    c.reset();
    co_await settle();
    CHECK(s.server().clients() == 1);
    go.set();
    const auto got = co_await timeout(patience, calling.get());
    REQUIRE(got.has_value());
    CHECK(got->text() == "kept");
    const payload last = co_await stream->reply();
    CHECK(last.empty());
    stream.reset();
    CHECK(co_await holds_soon([&] { return s.server().clients() == 0; }));
  });
}

TEST_CASE("a server that goes ends handlers where they wait, and calls with peer_closed") {
  on_a_loop([](loop& lp) -> task<void> {
    int alive = 0;
    served s(lp, [&](request r) -> task<reply> {
      const counted here(alive);
      if (r.method() == 1) co_await sleep_for(1h);
      if (r.method() == 2) (void)co_await r.read();
      const std::string part(100'000, 'x');
      for (;;) co_await r.write(part);
    });
    client c = co_await s.connected(small_rings());
    beside sleeping(lp, c.call(1));
    call_stream reading = c.open(2);
    call_stream writing = c.open(3);
    beside all_read(lp, reading.reply());
    beside all_written(lp, writing.reply());
    CHECK(co_await holds_soon([&] { return alive == 3; }));
    s.destroy_server();
    CHECK(alive == 0);
    const auto a = co_await timeout(patience, sleeping.get());
    CHECK(a.error() == errc::peer_closed);
    const auto b = co_await timeout(patience, all_read.get());
    CHECK(b.error() == errc::peer_closed);
    const auto d = co_await timeout(patience, all_written.get());
    CHECK(d.error() == errc::peer_closed);
    const auto later = co_await as_result(c.call(1));
    CHECK(later.error() == errc::peer_closed);
  });
}

TEST_CASE(
    "a request that outlives its handler still has its bytes, and reads and writes fail with closed") {
  on_a_loop([](loop& lp) -> task<void> {
    std::optional<request> kept;
    served s(lp, [&](request r) -> task<reply> {
      kept.emplace(std::move(r));
      co_return reply("done");
    });
    client c = co_await s.connected();
    const payload p = co_await c.call(5, "a request's bytes");
    CHECK(p.text() == "done");
    CHECK(kept->text() == "a request's bytes");
    const auto read = co_await as_result(kept->read());
    CHECK(read.error() == errc::closed);
    const auto written = co_await as_result(kept->write("x"));
    CHECK(written.error() == errc::closed);
    s.destroy_server();
    CHECK(kept->text() == "a request's bytes");
  });
}

TEST_CASE("a write that its handler left behind ends when the client cancels, or the server goes") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool cancels : {true, false}) {
      CAPTURE(cancels);
      const std::string part(10'000'000, 'x');
      std::optional<request> kept;
      std::unique_ptr<beside<request::write_awaitable<std::span<const std::byte>>>> writing;
      served s(lp, [&](request r) -> task<reply> {
        kept.emplace(std::move(r));
        writing = std::make_unique<beside<request::write_awaitable<std::span<const std::byte>>>>(
            lp, kept->write(part));
        co_await sleep_for(1h);
        co_return reply();
      });
      client c = co_await s.connected(small_rings());
      auto stream = std::make_unique<call_stream>(c.open(1));
      while (!writing) co_await yield();
      for (int i = 0; i < 10; ++i) co_await yield();
      if (cancels)
        stream.reset();
      else
        s.destroy_server();
      const auto written = co_await timeout(patience, writing->get());
      CHECK_FALSE(written.has_value());
      writing.reset();
      co_await settle();
    }
  });
}

TEST_CASE("closing the client fails its calls with closed, and ends their handlers") {
  on_a_loop([](loop& lp) -> task<void> {
    int alive = 0;
    served s(lp, [&](request r) -> task<reply> {
      const counted here(alive);
      co_await sleep_for(1h);
      co_return reply(r.bytes());
    });
    client c = co_await s.connected();
    beside calling(lp, c.call(1));
    call_stream stream = c.open(1);
    beside reading(lp, stream.read());
    CHECK(co_await holds_soon([&] { return alive == 2; }));
    c.close();
    c.close();
    const auto called = co_await timeout(patience, calling.get());
    CHECK(called.error() == errc::closed);
    const auto read = co_await timeout(patience, reading.get());
    CHECK(read.error() == errc::closed);
    const auto later = co_await as_result(c.call(1));
    CHECK(later.error() == errc::closed);
    CHECK(co_await holds_soon([&] { return alive == 0 && s.server().clients() == 0; }));
  });
}

TEST_CASE("a server that goes while its statistics are asked for") {
  on_a_loop([](loop& lp) -> task<void> {
    for (int turns = 0; turns < 8; ++turns) {
      served s(lp, refuse);
      client c = co_await s.connected();
      beside calling(lp, c.call(service_frame::method_statistics));
      for (int i = 0; i < turns; ++i) co_await yield();
      s.destroy_server();
      const auto got = co_await timeout(patience, calling.get());
      CHECK((got.has_value() || got.error() == errc::peer_closed));
    }
  });
}

}  // TEST_SUITE("service_lifetime")
