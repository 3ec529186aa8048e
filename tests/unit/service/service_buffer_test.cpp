// SPDX-License-Identifier: BSL-1.0
// What one side of a service can make the other keep: bounded in bytes, whatever it sends or does
// not read.
#include <ringbell/coro/timeout.hpp>
#include <ringbell/service/detail/frame.hpp>
#include <ringbell/service/statistics.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/heap_bytes.hpp"
#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("service_buffer") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;
using service_frame::header;
using service_frame::kind;

namespace {

constexpr std::size_t KiB = 1024;
constexpr std::size_t MiB = KiB * KiB;
constexpr std::size_t limit = MiB;
// What handlers of these tests have for themselves (coroutine frames), the tables of calls, and
// what malloc keeps free.
constexpr std::size_t beside_the_limit = 768 * KiB;

enum method : std::uint32_t { large = 1, later, stream, hang, fail, ask, pour };

header of(kind k, std::uint32_t call, std::uint32_t m = 0, std::uint8_t flags = 0) {
  header h;
  h.kind = k;
  h.call = call;
  h.method = m;
  h.flags = flags;
  return h;
}

std::vector<std::byte> bytes_of(const header& h, std::size_t payload = 0,
                                std::size_t metadata = 0) {
  header with = h;
  with.metadata = metadata;
  const auto head = service_frame::encode(with);
  std::vector<std::byte> all(head.size + metadata + payload);
  std::ranges::copy(head.bytes(), all.begin());
  return all;
}

/// A server that keeps at most `limit` for a client, an honest client, and one that speaks for
/// itself.
struct scene {
  explicit scene(loop& on, std::size_t reply_bytes = 64 * KiB)
      : lp(on),
        s(
            on, [this, reply_bytes](request r) { return serve(std::move(r), reply_bytes); },
            options()) {}
  static server_options options() {
    server_options o;
    o.max_buffered_bytes = limit;
    o.max_in_flight = 4096;
    return o;
  }
  task<reply> serve(request r, std::size_t reply_bytes) {
    ++begun;
    switch (r.method()) {
      case large: co_return reply(std::string(reply_bytes, 'x'));
      case later: co_await go.wait(); co_return reply(std::string(reply_bytes, 'x'));
      case stream: {
        const std::string part(reply_bytes, 'x');
        for (;;) co_await r.write(part);
      }
      case hang: co_await sleep_for(1h); break;
      case fail: throw call_error(1, std::string(4000, 'x'));
      case pour:
        for (int i = 0; i < 64; ++i) co_await r.write(std::string(1000, 'x'));
        co_return reply("end");
      default: break;
    }
    co_return reply(r.bytes());
  }
  task<void> begin() {
    honest = co_await s.connected();
    connect_options o;
    o.bells = sys::frugal_bells();
    liar = co_await connect(lp, s.path(), o);
    before = heap_bytes();
  }
  task<bool> say(std::vector<std::byte> frame) {
    const auto sent = co_await as_result(liar.send(std::span<const std::byte>(frame)));
    co_return sent.has_value();
  }
  /// Lets all that can be done be done. All of this is one thread: a sleep brings what was rung
  /// for, and the turns after it do all of that.
  static constexpr int sleeps_enough = 5;
  task<void> rest() {
    for (int i = 0; i < sleeps_enough; ++i) co_await let_park(lp);
  }
  /// Sends until the server takes no more, or `until` frames have gone. Gives how many.
  template <class F>
  task<std::uint32_t> flood(F frame, std::uint32_t until) {
    std::uint32_t sent = 0;
    for (int in_vain = 0; sent < until && in_vain < sleeps_enough;) {
      const std::vector<std::byte> next = frame(sent);
      if (!liar.try_send(std::span<const std::byte>(next))) {
        ++sent;
        in_vain = 0;
      } else {
        co_await let_park(lp);
        ++in_vain;
      }
    }
    co_await rest();
    co_return sent;
  }
  /// What the server says that it keeps, and what this process has more than at the beginning.
  task<void> is_within_the_limit() {
    const payload all = co_await timeout(patience, honest.call(service_frame::method_statistics));
    std::uint64_t kept = 0;
    for (std::size_t at = 0; at < all.size(); at += sizeof(client_statistics)) {
      client_statistics row;
      std::memcpy(&row, all.bytes().data() + at, sizeof row);
      CHECK(row.bytes_in_flight <= limit);
      kept = std::max(kept, row.bytes_in_flight);
    }
    CHECK(kept > 0);
    const std::size_t now = heap_bytes();
    MESSAGE("kept " << kept << ", of the heap " << (now > before ? now - before : 0));
    if (now > before) CHECK(now - before <= limit + beside_the_limit);
    const payload p = co_await timeout(patience, honest.call(ask, "still here"));
    CHECK(p.text() == "still here");
  }
  /// The errors that the liar's calls have ended with, of so many answers.
  task<std::vector<errc>> errors(std::size_t answers) {
    std::vector<errc> all;
    for (std::size_t i = 0; i < answers; ++i) {
      const auto m = co_await timeout(patience, liar.recv());
      if (!m) break;
      const std::vector<std::byte> copy(m->bytes().begin(), m->bytes().end());
      const auto f = service_frame::decode(copy, false);
      if (!f || !(f->head.flags & service_frame::error)) continue;
      const auto failure = service_frame::decode_failure(f->payload);
      if (failure) all.push_back(service_frame::errc_of(failure->code));
    }
    co_return all;
  }

  loop& lp;
  event_flag go;
  int begun = 0;
  served s;
  client honest;
  channel liar;
  std::size_t before = 0;
};

}  // namespace

TEST_CASE(
    "replies that a client does not read: it waits with further requests, and all are answered once it reads") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp);
    co_await now.begin();
    constexpr std::uint32_t requests = 1024;
    const auto sent = co_await now.flood(
        [](std::uint32_t i) { return bytes_of(of(kind::request, i, large)); }, requests);
    CHECK(now.begun < 64);  // of 64 KiB each
    co_await now.is_within_the_limit();
    const auto errors = co_await now.errors(sent);
    CHECK(errors.empty());
    CHECK(now.begun >= static_cast<int>(sent));
  });
}

TEST_CASE(
    "replies that become ready at the same time are kept up to the limit, and the rest are refused by its name") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp);
    co_await now.begin();
    constexpr std::uint32_t requests = 200;
    CHECK(co_await now.flood([](std::uint32_t i) { return bytes_of(of(kind::request, i, later)); },
                             requests) == requests);
    CHECK(now.begun == requests);
    now.go.set();
    co_await now.rest();
    co_await now.is_within_the_limit();
    const auto errors = co_await now.errors(requests);
    CHECK(errors.size() > requests / 2);
    CHECK(errors.size() < requests);
    CHECK(std::ranges::all_of(errors, [](errc e) { return e == errc::refused_bytes; }));
  });
}

TEST_CASE(
    "requests under way count with their metadata, and each for what it takes beside its bytes") {
  for (const std::size_t metadata : {std::size_t{0}, service_frame::max_metadata}) {
    on_a_loop([&](loop& lp) -> task<void> {
      scene now(lp);
      co_await now.begin();
      (void)co_await now.flood(
          [&](std::uint32_t i) { return bytes_of(of(kind::request, i, hang), 0, metadata); }, 3000);
      CHECK(now.begun <= static_cast<int>(limit / (2 * KiB)));
      co_await now.is_within_the_limit();
      const auto errors = co_await now.errors(20);
      CHECK(errors.size() == 20);
      CHECK(std::ranges::all_of(errors, [](errc e) { return e == errc::refused_bytes; }));
    });
  }
}

TEST_CASE("parts without a byte count for the memory that they take") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp);
    co_await now.begin();
    // 64 calls, with as many parts as the window has room for.
    (void)co_await now.flood(
        [](std::uint32_t i) {
          return i < 64 ? bytes_of(of(kind::request, i, hang, service_frame::more))
                        : bytes_of(of(kind::part, i % 64, 0, service_frame::more));
        },
        64 * 1000);
    co_await now.is_within_the_limit();
    const auto errors = co_await now.errors(20);
    CHECK(errors.size() == 20);
    CHECK(std::ranges::all_of(errors, [](errc e) { return e == errc::refused_bytes; }));
  });
}

TEST_CASE("what handlers wait to write counts, and beyond the limit a write fails by its name") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp, 200 * KiB);
    co_await now.begin();
    (void)co_await now.flood([](std::uint32_t i) { return bytes_of(of(kind::request, i, stream)); },
                             100);
    co_await now.is_within_the_limit();
  });
}

TEST_CASE("long texts of errors that nobody reads count as replies do") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp);
    co_await now.begin();
    (void)co_await now.flood([](std::uint32_t i) { return bytes_of(of(kind::request, i, fail)); },
                             3000);
    co_await now.is_within_the_limit();
  });
}

TEST_CASE(
    "calls that are cancelled, and begun anew under other numbers, are kept no longer than their replies wait") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp);
    co_await now.begin();
    (void)co_await now.flood(
        [](std::uint32_t i) {
          return i % 2 ? bytes_of(of(kind::cancel, i / 2))
                       : bytes_of(of(kind::request, i / 2, i % 4 ? large : stream));
        },
        4000);
    co_await now.is_within_the_limit();
  });
}

TEST_CASE("a message longer than the limit is not taken at all") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp);
    co_await now.begin();
    CHECK(now.honest.max_message() == limit);
    const std::string too_long(limit, 'x');
    const auto failed = co_await error_of(now.honest.call(ask, too_long));
    CHECK(failed.first == errc::message_too_large);
    const std::string long_enough(limit - 100, 'x');
    const payload p = co_await timeout(patience, now.honest.call(ask, long_enough));
    CHECK(p.size() == long_enough.size());
  });
}

TEST_CASE("a client that reads its replies gets all of them, be they many times the limit") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp, 200 * KiB);
    co_await now.begin();
    const auto call = [](scene& of_all, std::uint32_t m) -> task<void> {
      const payload p = co_await of_all.honest.call(m, "");
      CHECK(p.size() == (m == large ? 200 * KiB : 64 * 1000 + 3));
    };
    std::vector<task<void>> all;
    for (int i = 0; i < 300; ++i) all.push_back(call(now, i % 3 ? large : pour));
    co_await timeout(patience, when_all(std::move(all)));
  });
}

TEST_CASE(
    "streams that a client opens and does not read are kept up to its own limit; then they fail by its name, and its other calls go on") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      if (r.method() == ask) co_return reply(r.bytes());
      const std::string part(50 * KiB, 'x');
      for (;;) co_await r.write(part);
    });
    client_options options;
    options.max_buffered_bytes = limit;
    client c = co_await s.connected(options);
    std::vector<call_stream> streams;
    for (int i = 0; i < 100; ++i) streams.push_back(c.open(stream));
    const payload p = co_await timeout(patience, c.call(ask, "still here"));
    CHECK(p.text() == "still here");
    int failed = 0;
    std::size_t kept = 0;
    for (call_stream& each : streams) {
      auto first = co_await timeout(patience, as_result(each.read()));
      if (first && *first) kept += (*first)->size();
      if (!first) CHECK(first.error() == errc::refused_bytes);
      failed += !first;
    }
    CHECK(failed > 50);
    CHECK(failed < 100);
    CHECK(kept <= limit);
    streams.clear();
    call_stream again = c.open(stream);
    const auto part = co_await timeout(patience, again.read());
    CHECK(part.has_value());
  });
}

TEST_CASE(
    "replies of streams that nobody takes count for the client, too, and a server's text is cut") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener l = listener::bind(lp, folder / "liar");
    client_options options;
    options.max_buffered_bytes = limit;
    auto ends = co_await when_all(l.accept(), client::connect(lp, folder / "liar", options));
    channel liar = std::move(std::get<0>(ends));
    client c = std::move(std::get<1>(ends));
    std::vector<call_stream> streams;
    for (int i = 0; i < 10; ++i) streams.push_back(c.open(stream));
    beside failing(lp, error_of(c.call(fail)));
    std::vector<std::uint32_t> numbers;
    for (int i = 0; i < 11; ++i) {
      const auto m = co_await timeout(patience, liar.recv());
      REQUIRE(m);
      const std::vector<std::byte> copy(m->bytes().begin(), m->bytes().end());
      const auto f = service_frame::decode(copy, true);
      REQUIRE(f.has_value());
      numbers.push_back(f->head.call);
    }
    for (int i = 0; i < 10; ++i)
      co_await liar.send(std::span<const std::byte>(
          bytes_of(of(kind::reply, numbers[static_cast<std::size_t>(i)]), 300 * KiB)));
    std::vector<std::byte> text =
        bytes_of(of(kind::reply, numbers.back(), 0, service_frame::error), 500 * KiB);
    text[service_frame::header_size + 4] = std::byte{1};  // a code
    co_await liar.send(std::span<const std::byte>(text));
    const auto got = co_await timeout(patience, failing.get());
    REQUIRE(got.has_value());
    CHECK(got->second.size() == 4096);
    int taken = 0;
    for (call_stream& each : streams) {
      const auto r = co_await timeout(patience, as_result(each.reply()));
      if (r)
        ++taken;
      else
        CHECK(r.error() == errc::refused_bytes);
    }
    CHECK(taken == 3);
  });
}

}  // TEST_SUITE("service_buffer")
