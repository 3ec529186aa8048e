// SPDX-License-Identifier: BSL-1.0
// Calls with parts in either direction, between a client and a server on one loop.
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "support/patience.hpp"
#include "support/pattern.hpp"
#include "support/service.hpp"

TEST_SUITE("service_stream") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t counting = 1;  // "N": writes the numbers below N
constexpr std::uint32_t sum = 2;  // reads parts until the end, and answers how many bytes they had
constexpr std::uint32_t mirror = 3;  // writes each part that it reads
constexpr std::uint32_t refuse = 4;  // throws at once
constexpr std::uint32_t half = 5;    // writes two parts, then throws
constexpr std::uint32_t inert = 6;   // waits for its end
constexpr std::uint32_t large = 7;   // one part of as many bytes as the request says

task<reply> serve(request r) {
  switch (r.method()) {
    case counting:
      for (int i = 0; i < r.as<int>(); ++i) co_await r.write_value(i);
      co_return reply("counted");
    case sum: {
      std::size_t bytes = 0;
      while (auto part = co_await r.read()) bytes += part->size();
      co_return reply::of(bytes);
    }
    case mirror:
      while (auto part = co_await r.read()) co_await r.write(part->bytes());
      co_return reply();
    case refuse: throw call_error(5, "no");
    case half:
      co_await r.write("one");
      co_await r.write("two");
      throw call_error(6, "broke off");
    case large: {
      std::vector<std::byte> bytes(r.as<std::size_t>());
      fill(bytes, 3);
      co_await r.write(std::span<const std::byte>(bytes));
      co_return reply();
    }
    default: co_await sleep_for(1h); co_return reply();
  }
}

client_options small_rings() {
  client_options options;
  options.connection.ring_bytes = options.connection.peer_ring_bytes = 4096;
  return options;
}

}  // namespace

TEST_CASE("parts of a reply are read in order, and then the reply") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    client c = co_await s.connected();
    const int n = 5000;  // more than a window of them
    call_stream numbers = c.open(counting, std::as_bytes(std::span(&n, 1)));
    int next = 0;
    while (auto part = co_await numbers.read()) CHECK(part->as<int>() == next++);
    CHECK(next == n);
    const payload last = co_await numbers.reply();
    CHECK(last.text() == "counted");
    CHECK(c.calls() == 0);
  });
}

TEST_CASE("parts of a request reach the handler, and their end") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    client c = co_await s.connected();
    call_stream parts = c.open(sum);
    const std::string part(1000, 'x');
    for (int i = 0; i < 500; ++i) co_await parts.write(part);
    parts.finish();
    parts.finish();
    const payload last = co_await parts.reply();
    CHECK(last.as<std::size_t>() == 500'000);
  });
}

TEST_CASE("parts go both ways at the same time, of any size up to the longest message") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    for (const bool small : {false, true}) {
      client c = co_await s.connected(small ? small_rings() : client_options());
      call_stream both = c.open(mirror);
      std::vector<std::byte> bytes((16 << 20) - 8);
      fill(bytes, 2);
      const std::size_t sizes[] = {0, 1, 1500, 4096, 24'000, 65'536, 200'000, bytes.size()};
      scope writing(lp);
      writing.spawn([](call_stream& to, std::span<const std::byte> of,
                       std::span<const std::size_t> each) -> task<void> {
        for (const std::size_t size : each) co_await to.write(of.first(size));
        to.finish();
      }(both, bytes, sizes));
      for (const std::size_t size : sizes) {
        const auto part = co_await timeout(patience, both.read());
        REQUIRE(part);
        CHECK(part->size() == size);
        CHECK(matches(part->bytes(), 2));
      }
      const auto end = co_await both.read();
      CHECK_FALSE(end);
      (void)co_await both.reply();
      co_await writing.join();
    }
  });
}

TEST_CASE("a reader that does not read stops the writer after a window, and no other call") {
  on_a_loop([](loop& lp) -> task<void> {
    int written = 0;
    served s(lp, [&](request r) -> task<reply> {
      if (r.method() != counting) co_return reply(r.bytes());
      const std::string part(1000, 'x');
      for (; written < 1000; ++written) co_await r.write(part);
      co_return reply();
    });
    client c = co_await s.connected();
    call_stream slow = c.open(counting);
    for (int i = 0; i < 100; ++i) {
      const payload p = co_await c.call(echo_method, "quick");
      CHECK(p.text() == "quick");
    }
    // Of 1,064 bytes each, against a window of 65,536.
    CHECK(written == 62);
    int read = 0;
    while (auto part = co_await slow.read()) ++read;
    CHECK(read == 1000);
    (void)co_await slow.reply();
  });
}

TEST_CASE("an error after parts is thrown by reply(), once the parts were read") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    client c = co_await s.connected();
    call_stream broken = c.open(half);
    const auto failed = co_await error_of(broken.reply());
    CHECK(failed.first == std::error_code(6, handler_category()));
    CHECK(failed.second == "broke off");
    for (const char* expected : {"one", "two"}) {
      const auto part = co_await broken.read();
      REQUIRE(part);
      CHECK(part->text() == expected);
    }
    const auto end = co_await broken.read();
    CHECK_FALSE(end);
  });
}

TEST_CASE("a reply that comes before the request's last part ends its writing with closed") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    client c = co_await s.connected();
    call_stream refused = c.open(refuse);
    const auto failed = co_await error_of(refused.reply());
    CHECK(failed.second == "no");
    const auto late = co_await as_result(refused.write("late"));
    CHECK(late.error() == errc::closed);
    refused.finish();
    const payload p = co_await c.call(counting, std::string_view("\0\0\0\0", 4));
    CHECK(p.text() == "counted");
  });
}

TEST_CASE("a reply ends a write that waits for credit") {
  on_a_loop([](loop& lp) -> task<void> {
    event_flag go;
    served s(lp, [&](request) -> task<reply> {
      co_await go.wait();
      co_return reply("enough");
    });
    client c = co_await s.connected();
    call_stream stream = c.open(1);
    const std::string part(65'536, 'x');
    co_await stream.write(part);
    beside waiting(lp, stream.write(part));
    for (int i = 0; i < 100; ++i) co_await settle();
    CHECK_FALSE(waiting.ended());
    go.set();
    const payload last = co_await stream.reply();
    CHECK(last.text() == "enough");
    const auto written = co_await timeout(patience, waiting.get());
    CHECK(written.error() == errc::closed);
  });
}

TEST_CASE(
    "a write after finish fails with closed; a second reader, writer or waiter for the reply with busy") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    client c = co_await s.connected();
    call_stream stream = c.open(inert);
    const std::string part(65'536, 'x');
    co_await stream.write(part);
    beside writing(lp, stream.write(part));
    beside reading(lp, stream.read());
    beside replying(lp, stream.reply());
    co_await settle();
    const auto write = co_await as_result(stream.write("x"));
    CHECK(write.error() == errc::busy);
    const auto read = co_await as_result(stream.read());
    CHECK(read.error() == errc::busy);
    const auto last = co_await as_result(stream.reply());
    CHECK(last.error() == errc::busy);
    stream.finish();
    writing.request_stop();
    const auto stopped = co_await writing.get();
    CHECK(stopped.error() == errc::cancelled);
    const auto after = co_await as_result(stream.write("x"));
    CHECK(after.error() == errc::closed);
    reading.request_stop();
    const auto stopped_reading = co_await reading.get();
    CHECK(stopped_reading.error() == errc::cancelled);
    CHECK_FALSE(replying.ended());
  });
}

TEST_CASE("finish() during a write lets it go through, and ends the parts after it") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    client c = co_await s.connected(small_rings());
    call_stream stream = c.open(sum);
    const std::string part(30'000, 'x');
    beside writing(lp, stream.write(part));
    co_await yield();
    CHECK_FALSE(writing.ended());
    stream.finish();
    const payload last = co_await timeout(patience, stream.reply());
    CHECK(last.as<std::size_t>() == 30'000);
    const auto written = co_await writing.get();
    CHECK(written.has_value());
  });
}

TEST_CASE("call() joins the parts of a streaming method") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    client c = co_await s.connected();
    const std::size_t size = 5'000'000;
    const payload whole = co_await c.call_with(large, size);
    CHECK(whole.size() == size);
    CHECK(matches(whole.bytes(), 3));
    const payload numbers = co_await c.call_with(counting, 3000);
    CHECK(numbers.size() == 12'000 + 7);
    CHECK(numbers.text().ends_with("counted"));
  });
}

TEST_CASE(
    "joined parts beyond the longest message fail the call with message_too_large, and cancel it") {
  on_a_loop([](loop& lp) -> task<void> {
    std::error_code seen;
    served s(lp, [&](request r) -> task<reply> {
      const std::string part(10'000, 'x');
      for (;;) {
        const auto written = co_await as_result(r.write(part));
        if (!written) co_return seen = written.error(), reply();
      }
    });
    client_options options;
    options.connection.max_message = 100'000;
    client c = co_await s.connected(options);
    const auto failed = co_await error_of(c.call(1));
    CHECK(failed.first == errc::message_too_large);
    CHECK(failed.second.starts_with("(not from the service)"));
    CHECK(co_await holds_soon([&] { return static_cast<bool>(seen); }));
    CHECK(seen == errc::cancelled);
  });
}

TEST_CASE("a part that the peer does not take fails with message_too_large, and the call goes on") {
  on_a_loop([](loop& lp) -> task<void> {
    server_options limited;
    limited.listening.max_message = 10'000;
    served s(lp, serve, std::move(limited));
    client c = co_await s.connected();
    call_stream stream = c.open(sum);
    const std::string part(20'000, 'x');
    const auto written = co_await as_result(stream.write(part));
    CHECK(written.error() == errc::message_too_large);
    co_await stream.write("abc");
    stream.finish();
    const payload last = co_await stream.reply();
    CHECK(last.as<std::size_t>() == 3);
  });
}

TEST_CASE("a codec's exception leaves write_value, and the call goes on") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    client c = co_await s.connected();
    call_stream stream = c.open(sum);
    CHECK_THROWS_WITH_AS(co_await stream.write_value(unspeakable()), "unspeakable",
                         std::runtime_error);
    co_await stream.write("abc");
    stream.finish();
    const payload last = co_await stream.reply();
    CHECK(last.as<std::size_t>() == 3);
  });
}

}  // TEST_SUITE("service_stream")
