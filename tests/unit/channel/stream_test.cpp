// SPDX-License-Identifier: BSL-1.0
// Streams of bytes: what is written arrives complete and in order, in pieces of any size.
#include <ringbell/channel/stream.hpp>
#include <ringbell/channel/stream_listener.hpp>
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/channel_pair.hpp"
#include "support/pattern.hpp"
#include "support/turns.hpp"

TEST_SUITE("stream") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

struct stream_pair {
  stream server;
  stream client;
};

task<stream_pair> connected_streams(loop& lp, std::uint64_t ring_bytes = 4096) {
  const temporary_folder folder;
  const std::string path = folder / "pair";
  listener_options of_server;
  of_server.default_ring_bytes = ring_bytes;
  stream_listener l = stream_listener::bind(lp, path, of_server);
  connect_options of_client;
  of_client.ring_bytes = ring_bytes;
  auto ends = co_await when_all(l.accept(), connect_stream(lp, path, of_client));
  co_return stream_pair{std::move(std::get<0>(ends)), std::move(std::get<1>(ends))};
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

task<std::string> read_text(stream& s, std::size_t most) {
  std::string text(most, '\0');
  text.resize(co_await s.read_some(std::as_writable_bytes(std::span(text))));
  co_return text;
}

task<void> write_pattern(stream& to, std::size_t total, std::uint64_t seed, std::size_t longest) {
  const auto bytes = patterned(total, seed);
  pattern sizes(seed + 100);
  for (std::size_t at = 0; at < total;) {
    const std::size_t n = std::min(total - at, std::size_t{1} + sizes.next() % longest);
    co_await to.write_all(std::span(bytes).subspan(at, n));
    at += n;
  }
  to.shutdown();
}

task<void> read_pattern(stream& from, std::size_t total, std::uint64_t seed, std::size_t longest) {
  std::vector<std::byte> all(total + 1);
  pattern sizes(seed + 200);
  std::size_t have = 0;
  for (;;) {
    const std::size_t room = std::min(all.size() - have, std::size_t{1} + sizes.next() % longest);
    const std::size_t n = co_await from.read_some(std::span(all).subspan(have, room));
    if (n == 0) break;
    have += n;
    REQUIRE(have <= total);
  }
  REQUIRE(have == total);
  CHECK(matches(std::span(all).first(total), seed));
}

}  // namespace

TEST_CASE("bytes arrive complete and in order, in both directions at once, whatever the sizes") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const std::size_t longest : {3, 100, 5000, 100'000}) {
      stream_pair p = co_await connected_streams(lp);
      const std::size_t total = longest < 100 ? 20'000 : 400'000;
      co_await when_all(
          write_pattern(p.client, total, 1, longest), read_pattern(p.server, total, 1, 20'000),
          write_pattern(p.server, total, 2, longest), read_pattern(p.client, total, 2, 777));
    }
  });
}

TEST_CASE("a read gives what is there, and the rest to the next read") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    CHECK(co_await p.client.write_some("hello, world") == 12);
    CHECK(co_await read_text(p.server, 5) == "hello");
    CHECK(co_await read_text(p.server, 100) == ", world");
  });
}

TEST_CASE("a read joins what was written in several pieces") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    for (const char* piece : {"a", "bc", "def"}) co_await p.client.write_all(piece);
    CHECK(co_await read_text(p.server, 4) == "abcd");
    CHECK(co_await read_text(p.server, 4) == "ef");
  });
}

TEST_CASE("no bytes are read and written at once, even when nothing is there") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    CHECK(co_await p.server.read_some({}) == 0);
    CHECK(co_await p.client.write_some("") == 0);
    co_await p.client.write_all("");
    CHECK(p.client.statistics().messages_sent == 0);
    CHECK(co_await p.server.read_exactly({}) == 0);
  });
}

TEST_CASE("a write makes one record, however small it is") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    for (const std::string& piece : {std::string("a"), std::string(64, 'b'), std::string(500, 'c')})
      CHECK(co_await p.client.write_some(bytes_of(piece)) == piece.size());
    CHECK(p.client.statistics().messages_sent == 3);
    CHECK(p.client.statistics().bytes_sent == 565);
  });
}

TEST_CASE("a write takes what fits, and waits only while the ring is full") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp, 64 << 10);
    const auto bytes = patterned(1 << 20, 7);
    std::size_t written = 0;
    while (written < 50'000)
      written += co_await p.client.write_some(std::span(bytes).subspan(written));
    CHECK(written < 65'536);
    for (;;) {  // until nothing fits any more
      const auto more =
          co_await as_result(timeout(1ms, p.client.write_some(std::span(bytes).subspan(written))));
      if (!more) {
        CHECK(more.error() == errc::timed_out);
        break;
      }
      written += *more;
    }
    CHECK(written > 60'000);  // all but one sixteenth
    std::vector<std::byte> all(written);
    CHECK(co_await p.server.read_exactly(all) == written);
    CHECK(std::equal(all.begin(), all.end(), bytes.begin()));
    CHECK(co_await p.client.write_some(std::span(bytes).subspan(written)) > 1000);
  });
}

TEST_CASE("a shutdown ends one direction: the peer reads the rest, then nothing") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    co_await p.client.write_all("last words");
    p.client.shutdown();
    CHECK((co_await as_result(p.client.write_some("more"))).error() == errc::closed);
    CHECK(co_await read_text(p.server, 4) == "last");
    CHECK(co_await read_text(p.server, 100) == " words");
    for (int i = 0; i < 3; ++i) CHECK((co_await read_text(p.server, 100)).empty());
    CHECK((co_await p.server.read_view()).empty());
    co_await p.server.write_all("an answer");
    CHECK(co_await read_text(p.client, 100) == "an answer");
  });
}

TEST_CASE("shutdown_read ends one direction: the peer's writes fail, and a pending read ends") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    std::byte buffer[1];
    beside pending(lp, p.server.read_some(buffer));
    co_await settle();
    p.server.shutdown_read();
    CHECK((co_await pending.get()).error() == errc::closed);
    CHECK((co_await as_result(p.server.read_some(buffer))).error() == errc::closed);
    auto written = co_await as_result(p.client.write_some("too late"));
    while (written) {  // what is written before the end is noticed goes nowhere
      co_await yield();
      written = co_await as_result(p.client.write_some("too late"));
    }
    CHECK(written.error() == errc::peer_closed);
    co_await p.server.write_all("an answer");
    CHECK(co_await read_text(p.client, 100) == "an answer");
  });
}

TEST_CASE("a stream that is destroyed ends for the peer after what was written") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    co_await p.client.write_all("goodbye");
    p.client = stream();
    CHECK(co_await read_text(p.server, 100) == "goodbye");
    CHECK((co_await read_text(p.server, 100)).empty());
    auto written = co_await as_result(p.server.write_some("too late"));
    while (written) {  // what is written before the end is noticed goes nowhere
      co_await yield();
      written = co_await as_result(p.server.write_some("too late"));
    }
    CHECK(written.error() == errc::peer_closed);
  });
}

TEST_CASE("a stream that is aborted is no end: the peer reads the rest, then peer_closed") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    co_await p.client.write_all("most of it");
    p.client.abort();
    p.client.shutdown();  // it cannot make an orderly end of it any more
    p.client.close();
    CHECK(co_await read_text(p.server, 4) == "most");
    CHECK(co_await read_text(p.server, 100) == " of it");
    std::byte more;
    const auto read = co_await as_result(p.server.read_some(std::span(&more, 1)));
    CHECK(read.error() == errc::peer_closed);
    const auto written = co_await as_result(p.server.write_some("x"));
    CHECK(written.error() == errc::peer_closed);
    const auto own_read = co_await as_result(p.client.read_some(std::span(&more, 1)));
    CHECK(own_read.error() == errc::closed);
    const auto own_write = co_await as_result(p.client.write_some("x"));
    CHECK(own_write.error() == errc::closed);
  });
}

TEST_CASE("a stream that is aborted ends what waits on it, at both ends") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    const std::string much(100'000, 'm');
    std::byte byte;
    beside read(lp, p.client.read_some(std::span(&byte, 1)));
    beside written(lp, p.client.write_all(bytes_of(much)));
    co_await let_park(lp);
    p.client.abort();
    CHECK((co_await read.get()).error() == errc::closed);
    CHECK((co_await written.get()).error() == errc::closed);
    // What was written before is there, and no more.
    std::size_t have = 0;
    for (;;) {
      const auto n = co_await as_result(p.server.read_some(std::span(&byte, 1)));
      if (!n) {
        CHECK(n.error() == errc::peer_closed);
        break;
      }
      CHECK(byte == std::byte{'m'});
      have += *n;
    }
    CHECK(have < much.size());
  });
}

TEST_CASE("read_exactly fills its buffer, or says where the stream ended") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    std::vector<std::byte> five(5);
    beside reading(lp, p.server.read_exactly(five));
    for (const char* piece : {"ab", "cd", "efgh"}) {
      co_await settle();
      CHECK_FALSE(reading.ended());
      co_await p.client.write_all(piece);
    }
    CHECK((co_await reading.get()).value() == 5);
    p.client.shutdown();
    CHECK(co_await p.server.read_exactly(five) == 3);
    CHECK(five[0] == std::byte{'f'});
    CHECK(co_await p.server.read_exactly(five) == 0);
  });
}

TEST_CASE("a view gives the bytes in place, and keeps what was not consumed") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    co_await p.client.write_all("a line\nand more");
    std::span<const std::byte> there = co_await p.server.read_view();
    CHECK(there.size() == 15);
    p.server.consume(7);
    const std::byte* const second = there.data() + 7;
    there = co_await p.server.read_view();
    CHECK(there.data() == second);
    CHECK(there.size() == 8);
    CHECK(co_await read_text(p.server, 3) == "and");
    CHECK((co_await p.server.read_view()).size() == 5);
    p.server.consume(1000);  // more than there is: all
    beside next(lp, p.server.read_view());
    co_await settle();
    CHECK_FALSE(next.ended());
    co_await p.client.write_all("x");
    CHECK((co_await next.get()).value().size() == 1);
  });
}

TEST_CASE("a read that ends early has taken nothing, and a write has sent nothing") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    for (int i = 0; i < 3; ++i) {
      std::byte buffer[10];
      CHECK((co_await as_result(timeout(1ms, p.server.read_some(buffer)))).error() ==
            errc::timed_out);
      CHECK((co_await as_result(timeout(1ms, p.server.read_view()))).error() == errc::timed_out);
      co_await p.client.write_all("ping");
      CHECK(co_await read_text(p.server, 10) == "ping");
    }
    const std::string block(300, 'x');
    const std::uint64_t before = p.client.statistics().bytes_sent;
    std::size_t written = 0;
    for (;;) {
      const auto n = co_await as_result(timeout(1ms, p.client.write_some(bytes_of(block))));
      if (!n) break;
      written += *n;
    }
    CHECK(p.client.statistics().bytes_sent == before + written);
    std::vector<std::byte> all(written);
    CHECK(co_await p.server.read_exactly(all) == written);
    co_await p.client.write_all("!");
    CHECK(co_await read_text(p.server, 10) == "!");
  });
}

TEST_CASE("one read and one write may wait at a time, and a second one is busy") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    std::byte a[4];
    std::byte b[4];
    beside reading(lp, p.client.read_some(a));
    const auto much = patterned(100'000, 3);
    beside writing(lp, p.client.write_all(much));
    co_await settle();
    CHECK((co_await as_result(p.client.read_some(b))).error() == errc::busy);
    CHECK((co_await as_result(p.client.read_view())).error() == errc::busy);
    CHECK((co_await as_result(p.client.write_some("x"))).error() == errc::busy);
    std::vector<std::byte> all(much.size());
    CHECK(co_await p.server.read_exactly(all) == much.size());
    CHECK(matches(all, 3));
    CHECK((co_await writing.get()).has_value());
    co_await p.server.write_all("y");
    CHECK((co_await reading.get()).value() == 1);
  });
}

TEST_CASE("small reads of a large piece let other coroutines have their turn") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp, 64 << 10);
    co_await p.client.write_all(patterned(20'000, 5));
    std::size_t turns = 0;
    bool done = false;
    const auto count = [&]() -> task<void> {
      while (!done) {
        co_await yield();
        ++turns;
      }
    };
    scope beside_it(lp);
    beside_it.spawn(count());
    std::byte one[1];
    for (int i = 0; i < 20'000; ++i) REQUIRE(co_await p.server.read_some(one) == 1);
    done = true;
    co_await beside_it.join();
    CHECK(turns > 10);
  });
}

TEST_CASE("writes that are held back go out together when the loop sleeps") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    p.client.no_delay(false);
    std::byte buffer[100];
    beside reading(lp, p.server.read_some(buffer));
    co_await let_park(lp);
    const auto before = p.client.statistics();
    for (int i = 0; i < 10; ++i) co_await p.client.write_all("x");
    CHECK((co_await reading.get()).value() == 10);
    CHECK(p.client.statistics().bells_rung - before.bells_rung <= 1);
    co_await p.client.write_all("later");
    p.client.no_delay(true);
    CHECK(co_await read_text(p.server, 10) == "later");
  });
}

TEST_CASE("a client that wants messages and a service of streams tell each other") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    const std::string path = folder / "streams";
    const stream_listener streams = stream_listener::bind(lp, path);
    const std::string other = folder / "messages";
    const listener messages = listener::bind(lp, other);
    std::string text;
    try {
      (void)co_await connect(lp, path);
    } catch (const std::system_error& e) {
      CHECK(e.code() == errc::refused_kind);
      text = e.what();
    }
    CHECK(text.find("the server has streams of bytes") != std::string::npos);
    text.clear();
    try {
      (void)co_await connect_stream(lp, other);
    } catch (const std::system_error& e) {
      CHECK(e.code() == errc::refused_kind);
      text = e.what();
    }
    CHECK(text.find("the server has messages, and this client wants streams") != std::string::npos);
    CHECK(streams.clients() == 0);
    CHECK(messages.clients() == 0);
  });
}

TEST_CASE("a stream is made of a channel, and a peer that sends an empty message ends it") {
  on_a_loop([](loop& lp) -> task<void> {
    channel_pair p = co_await connected(lp);
    stream s(std::move(p.server));
    co_await p.client.send("a message");
    CHECK(co_await read_text(s, 100) == "a message");
    std::vector<std::byte> all(100'000);
    const auto ends = co_await when_all(p.client.send(patterned(all.size(), 4)),  // in fragments
                                        s.read_exactly(all));
    CHECK(std::get<1>(ends) == all.size());
    CHECK(matches(all, 4));
    co_await s.write_all("bytes");
    CHECK((co_await p.client.recv())->text() == "bytes");
    for (const char* record : {"abc", "", "def"}) co_await p.client.send(record);
    CHECK(co_await read_text(s, 100) == "abc");
    for (int i = 0; i < 3; ++i) {
      CHECK((co_await as_result(s.read_view())).error() == errc::bad_peer);
      CHECK((co_await as_result(s.write_some("x"))).error() == errc::bad_peer);
    }
  });
}

TEST_CASE("no bytes end at once each time, whatever else the coroutine has done in its turn") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    for (int i = 0; i < 1000; ++i) {
      REQUIRE(co_await p.server.read_some({}) == 0);
      REQUIRE(co_await p.client.write_some("") == 0);
    }
  });
}

TEST_CASE("read_exactly goes on when its stream moves") {
  on_a_loop([](loop& lp) -> task<void> {
    stream_pair p = co_await connected_streams(lp);
    std::vector<std::byte> six(6);
    beside reading(lp, p.server.read_exactly(six));
    co_await settle();
    stream moved = std::move(p.server);
    co_await p.client.write_all("abc");
    co_await settle();
    stream again = std::move(moved);
    co_await p.client.write_all("def");
    CHECK((co_await reading.get()).value() == 6);
    again = stream();
    beside late(lp, again.read_exactly(six));
    CHECK((co_await late.get()).error() == errc::closed);
  });
}

TEST_CASE("a write that suspends before its first attempt is woken when the ring has room again") {
  on_a_loop(
      [](loop& lp) -> task<void> {
        stream_pair p = co_await connected_streams(lp);
        // Until the coroutine's turn is over just when the ring is nearly full, whatever the turn
        // is.
        for (std::size_t first = 1; first < 140; ++first) {
          std::size_t written = 0;
          beside filling(lp, [](stream& to, std::size_t small, std::size_t& n) -> task<void> {
            for (std::size_t i = 0; i < small; ++i) n += co_await to.write_some("x");
            const std::string block(3000, 'y');
            co_await to.write_all(block);
            n += block.size();
            for (int i = 0; i < 60; ++i) {
              co_await to.write_all(std::string_view(block).substr(0, 200));
              n += 200;
            }
          }(p.client, first, written));
          std::vector<std::byte> all(first + 3000 + 60 * 200);
          REQUIRE(co_await p.server.read_exactly(all) == all.size());
          REQUIRE((co_await filling.get()).has_value());
          REQUIRE(written == all.size());
        }
      },
      [] {
        loop_options o;
        o.spin = spin_policy::none;
        return o;
      }());
}

TEST_CASE("a peer that takes no bytes at all lets writes fail, and keeps nobody busy") {
  on_a_loop([](loop& lp) -> task<void> {
    connect_options takes_nothing;
    takes_nothing.max_message = 0;
    channel_pair p = co_await connected(lp, {}, takes_nothing);
    stream s(std::move(p.server));
    CHECK((co_await as_result(s.write_some("x"))).error() == errc::message_too_large);
    CHECK((co_await as_result(s.write_all("xyz"))).error() == errc::message_too_large);
    CHECK(co_await s.write_some("") == 0);
  });
}

TEST_CASE("a peer that takes one byte at a time gets them so") {
  on_a_loop([](loop& lp) -> task<void> {
    connect_options takes_little;
    takes_little.max_message = 1;
    channel_pair p = co_await connected(lp, {}, takes_little);
    stream s(std::move(p.server));
    CHECK(co_await s.write_some("xyz") == 1);
    co_await s.write_all("abc");
    for (const char* one : {"x", "a", "b", "c"}) CHECK((co_await p.client.recv())->text() == one);
  });
}

TEST_CASE("a stream that is not connected says closed") {
  on_a_loop([](loop&) -> task<void> {
    stream none;
    CHECK_FALSE(none);
    std::byte buffer[1];
    CHECK((co_await as_result(none.read_some(buffer))).error() == errc::closed);
    CHECK((co_await as_result(none.read_view())).error() == errc::closed);
    CHECK((co_await as_result(none.write_all("x"))).error() == errc::closed);
    none.consume(1);
    none.shutdown();
    none.shutdown_read();
    none.no_delay(false);
    none.close();
  });
}

}  // TEST_SUITE("stream")
