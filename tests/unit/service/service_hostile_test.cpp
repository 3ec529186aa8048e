// SPDX-License-Identifier: BSL-1.0
// Peers that speak frames themselves: only their own connection suffers.
#include <ringbell/coro/timeout.hpp>
#include <ringbell/service/observer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("service_hostile") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;
using service_frame::header;
using service_frame::kind;

namespace {

constexpr std::uint32_t ask = 1;      // echoes
constexpr std::uint32_t hang = 2;     // waits for its end
constexpr std::uint32_t swallow = 3;  // reads all parts
constexpr std::uint32_t pour = 4;     // writes parts without end

task<reply> serve(request r) {
  switch (r.method()) {
    case ask: co_return reply(r.bytes());
    case hang: co_await sleep_for(1h); co_return reply();
    case swallow:
      while (co_await r.read()) {}
      co_return reply();
    default: {
      const std::string part(1000, 'x');
      for (;;) co_await r.write(part);
    }
  }
}

header of(kind k, std::uint32_t call, std::uint32_t method = 0, std::uint8_t flags = 0) {
  header h;
  h.kind = k;
  h.call = call;
  h.method = method;
  h.flags = flags;
  return h;
}

std::vector<std::byte> bytes_of(const header& h, std::size_t payload = 0) {
  const auto head = service_frame::encode(h);
  std::vector<std::byte> all(head.size + payload);
  std::ranges::copy(head.bytes(), all.begin());
  return all;
}

header credit(std::uint32_t call, std::uint64_t bytes) {
  header h = of(kind::credit, call);
  h.credit = bytes;
  return h;
}

/// Remembers why the last connection ended.
class endings final : public server_observer {
public:
  void disconnected(const sys::peer_identity&, std::error_code e) noexcept override { why = e; }
  std::optional<std::error_code> why;
};

/// A server, an honest client, and a hostile one that speaks for itself.
struct scene {
  explicit scene(loop& on, server_options o = {})
      : observed(std::move(o)), s(on, serve, with(observed, seen)), lp(on) {}
  static server_options with(server_options o, endings& e) {
    o.observer = &e;
    return o;
  }
  task<void> begin() {
    honest = co_await s.connected();
    connect_options options;
    options.bells = sys::frugal_bells();
    liar = co_await connect(lp, s.path(), options);
  }
  /// False when the server has hung up.
  task<bool> say(std::vector<std::byte> frame) {
    const auto sent = co_await as_result(liar.send(std::span<const std::byte>(frame)));
    co_return sent.has_value();
  }
  /// The server hangs up on the liar, for that reason; the honest client notices nothing.
  task<void> ends_with(errc e) {
    CHECK(co_await holds_soon([&] { return seen.why.has_value(); }));
    CHECK(*seen.why == make_error_code(e));
    const payload p = co_await honest.call(ask, "still here");
    CHECK(p.text() == "still here");
    CHECK(s.server().clients() == 1);
  }

  server_options observed;
  endings seen;
  served s;
  loop& lp;
  client honest;
  channel liar;
};

template <class F>
void liar_is_dropped(F say) {
  on_a_loop([&](loop& lp) -> task<void> {
    scene now(lp);
    co_await now.begin();
    co_await say(now);
    co_await now.ends_with(errc::bad_peer);
  });
}

}  // namespace

TEST_CASE("a frame that makes no sense ends the connection of who sent it") {
  for (const std::size_t size : {0, 1, 7, 8, 24, 100}) {
    liar_is_dropped([&](scene& now) -> task<void> {
      co_await now.say(std::vector<std::byte>(size, std::byte{9}));
    });
  }
}

TEST_CASE("a number that is in use may not be used for another request") {
  liar_is_dropped([](scene& now) -> task<void> {
    co_await now.say(bytes_of(of(kind::request, 5, hang)));
    co_await now.say(bytes_of(of(kind::request, 5, hang)));
  });
  liar_is_dropped([](scene& now) -> task<void> {
    co_await now.say(bytes_of(of(kind::request, 5, pour)));
    co_await now.say(bytes_of(of(kind::request, 5, ask)));
  });
}

TEST_CASE("a part for a request that announced none breaks the protocol") {
  liar_is_dropped([](scene& now) -> task<void> {
    co_await now.say(bytes_of(of(kind::request, 5, hang)));
    co_await now.say(bytes_of(of(kind::part, 5, 0, service_frame::more), 10));
  });
}

TEST_CASE("a part after the last one breaks the protocol") {
  liar_is_dropped([](scene& now) -> task<void> {
    co_await now.say(bytes_of(of(kind::request, 5, hang, service_frame::more)));
    co_await now.say(bytes_of(of(kind::part, 5)));
    co_await now.say(bytes_of(of(kind::part, 5, 0, service_frame::more), 10));
  });
}

TEST_CASE("parts beyond the window break the protocol") {
  liar_is_dropped([](scene& now) -> task<void> {
    co_await now.say(bytes_of(of(kind::request, 5, hang, service_frame::more)));
    for (int i = 0; i < 66; ++i)
      co_await now.say(bytes_of(of(kind::part, 5, 0, service_frame::more), 1000));
  });
}

TEST_CASE("credit for more than is under way breaks the protocol") {
  for (const std::uint64_t bytes : {std::uint64_t{1} << 20, ~std::uint64_t{0}}) {
    liar_is_dropped([&](scene& now) -> task<void> {
      co_await now.say(bytes_of(of(kind::request, 5, pour)));
      co_await now.say(bytes_of(credit(5, bytes)));
    });
  }
  liar_is_dropped([](scene& now) -> task<void> {
    co_await now.say(bytes_of(of(kind::request, 5, hang)));
    co_await now.say(bytes_of(credit(5, 1)));
  });
}

TEST_CASE("parts, credit and cancellations of calls that do not exist are passed over") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp);
    co_await now.begin();
    co_await now.say(bytes_of(of(kind::part, 9, 0, service_frame::more), 100));
    co_await now.say(bytes_of(credit(9, 100)));
    co_await now.say(bytes_of(of(kind::cancel, 9)));
    co_await now.say(bytes_of(of(kind::request, 9, ask), 3));
    const auto answer = co_await now.liar.recv();
    REQUIRE(answer);
    CHECK(answer->size() == service_frame::header_size + 3);
    CHECK_FALSE(now.seen.why);
  });
}

TEST_CASE(
    "a handler that ends because the deadline has passed says so, though its client has not noticed yet") {
  on_a_loop([](loop& lp) -> task<void> {
    scene now(lp);
    co_await now.begin();
    header request = of(kind::request, 1, hang);
    request.deadline = service_frame::sent_deadline(loop::clock::now() + 5ms);
    co_await now.say(bytes_of(request));
    const auto answer = co_await timeout(patience, now.liar.recv());
    REQUIRE(answer);
    const std::vector<std::byte> copy(answer->bytes().begin(), answer->bytes().end());
    const auto f = service_frame::decode(copy, false);
    REQUIRE(f.has_value());
    const auto failure = service_frame::decode_failure(f->payload);
    REQUIRE(failure.has_value());
    CHECK(service_frame::errc_of(failure->code) == errc::timed_out);
  });
}

TEST_CASE("who floods and reads nothing is not served beyond his limits, and delays nobody") {
  on_a_loop([](loop& lp) -> task<void> {
    server_options options;
    options.max_in_flight = 8;
    scene now(lp, options);
    co_await now.begin();
    beside flood(lp, [](scene& of_liar) -> task<void> {
      for (std::uint32_t call = 1;
           co_await of_liar.say(bytes_of(of(kind::request, call, call % 3 ? pour : ask), 100));
           ++call) {}
    }(now));
    for (int i = 0; i < 200; ++i) {
      const payload p = co_await timeout(patience, now.honest.call(ask, "still here"));
      CHECK(p.text() == "still here");
    }
    CHECK_FALSE(flood.ended());  // the server has stopped to take his requests
    CHECK_FALSE(now.seen.why);
  });
}

TEST_CASE("parts that nobody reads are kept up to the limit of bytes, then their calls fail") {
  on_a_loop([](loop& lp) -> task<void> {
    server_options options;
    options.max_buffered_bytes = 1 << 20;
    scene now(lp, options);
    co_await now.begin();
    for (std::uint32_t call = 1; call <= 10; ++call) {
      co_await now.say(bytes_of(of(kind::request, call, hang, service_frame::more)));
      co_await now.say(bytes_of(of(kind::part, call, 0, service_frame::more), 400'000));
    }
    for (int failed = 0; failed < 8; ++failed) {
      const auto answer = co_await timeout(patience, now.liar.recv());
      REQUIRE(answer);
      const std::vector<std::byte> copy(answer->bytes().begin(), answer->bytes().end());
      const auto f = service_frame::decode(copy, false);
      REQUIRE(f.has_value());
      const auto failure = service_frame::decode_failure(f->payload);
      REQUIRE(failure.has_value());
      CHECK(service_frame::errc_of(failure->code) == errc::refused_bytes);
    }
    CHECK_FALSE(now.seen.why);
  });
}

TEST_CASE("random frames of a hostile client harm nobody else") {
  on_a_loop([](loop& lp) -> task<void> {
    server_options options;
    options.max_in_flight = 16;
    options.max_buffered_bytes = 1 << 20;
    for (unsigned seed = 1; seed <= 60; ++seed) {
      CAPTURE(seed);
      scene now(lp, options);
      co_await now.begin();
      std::mt19937 random(seed);
      const auto any = [&](unsigned n) { return static_cast<std::uint32_t>(random() % n); };
      for (int i = 0; i < 300 && !now.seen.why; ++i) {
        header h = of(static_cast<kind>(1 + any(4)), 1 + any(20), 1 + any(5),
                      static_cast<std::uint8_t>(any(2)));
        if (any(200) == 0) h.kind = static_cast<kind>(any(256));
        if (h.kind == kind::cancel || h.kind == kind::credit) h.flags = 0;
        h.credit = any(4) == 0 ? any(70'000) : 0;
        h.deadline = any(8) == 0 ? random() : 0;
        const bool empty = h.kind == kind::cancel || h.kind == kind::credit ||
                           (h.kind == kind::part && h.flags == 0);
        std::vector<std::byte> frame = bytes_of(h, empty ? 0 : any(any(10) == 0 ? 70'000 : 200));
        beside saying(lp, now.say(frame));
        for (int turn = 0; turn < 20 && !saying.ended(); ++turn) {
          co_await yield();
          if (any(2) == 0) (void)now.liar.try_recv();
        }
        if (!saying.ended()) break;  // the server takes no more of it
      }
      const payload p = co_await timeout(patience, now.honest.call(ask, "still here"));
      CHECK(p.text() == "still here");
    }
  });
}

TEST_CASE("random frames of a hostile server end the client's calls, and nothing else") {
  on_a_loop([](loop& lp) -> task<void> {
    for (unsigned seed = 1; seed <= 60; ++seed) {
      CAPTURE(seed);
      const temporary_folder folder;
      listener l = listener::bind(lp, folder / "liar");
      auto ends = co_await when_all(l.accept(), client::connect(lp, folder / "liar"));
      channel liar = std::move(std::get<0>(ends));
      client c = std::move(std::get<1>(ends));
      std::mt19937 random(seed);
      const auto any = [&](unsigned n) { return static_cast<std::uint32_t>(random() % n); };
      beside first(lp, c.call(1, "request", {}));
      beside second(lp, c.call(2, std::string_view(), {}));
      call_stream stream = c.open(3);
      beside reading(lp, stream.read());
      const std::string part(100'000, 'x');
      beside writing(lp, stream.write(part));
      for (int i = 0; i < 100; ++i) {
        header h = of(any(3) ? kind::reply : kind::credit, any(4), 0, 0);
        if (any(50) == 0) h.kind = kind::goaway, h.call = 0, h.reason = errc::refused_stopping;
        if (h.kind == kind::reply) h.flags = static_cast<std::uint8_t>(any(20) == 0 ? any(3) : 1);
        h.credit = any(4) == 0 ? any(70'000) : 0;
        const std::vector<std::byte> frame = bytes_of(h, h.kind == kind::reply ? any(2000) : 0);
        if (liar.try_send(std::span<const std::byte>(frame)) && !liar.try_recv()) co_await yield();
        co_await yield();
      }
      liar = channel();
      (void)co_await timeout(patience, first.get());
      (void)co_await timeout(patience, second.get());
      (void)co_await timeout(patience, reading.get());
      (void)co_await timeout(patience, writing.get());
      const auto last = co_await timeout(patience, as_result(stream.reply()));
      CHECK((last.has_value() || last.error()));
      CHECK(co_await holds_soon([&] { return c.calls() == 0 && !c.connected(); }));
    }
  });
}

TEST_CASE(
    "an idle client that leaves no room for the goodbye is hung up on without one, a timeout later") {
  on_a_loop([](loop& lp) -> task<void> {
    server_options options;
    options.idle_timeout = 40ms;
    scene now(lp, options);
    connect_options tight;
    tight.peer_ring_bytes = 4096;
    tight.bells = sys::frugal_bells();
    now.honest = co_await now.s.connected();
    now.liar = co_await connect(lp, now.s.path(), tight);
    // Replies that fill the ring to its last byte: each takes a sixteenth of it, with the record's
    // header.
    constexpr int replies = 16;
    constexpr std::size_t of_record = 8;
    for (std::uint32_t i = 0; i < replies; ++i)
      co_await now.say(
          bytes_of(of(kind::request, i, ask),
                   4096 / replies - of_record - service_frame::encode(of(kind::reply, i)).size));
    co_await sleep_for(20ms);
    CHECK(now.liar.statistics().messages_sent == replies);
    while (!now.seen.why) {
      const payload p = co_await timeout(patience, now.honest.call(ask, "x"));
      REQUIRE(p.text() == "x");
      co_await sleep_for(1ms);
    }
    CHECK(*now.seen.why == errc::dropped_idle);
    int received = 0;
    while (const auto m = co_await now.liar.recv()) ++received;
    CHECK(received == replies);
  });
}

}  // TEST_SUITE("service_hostile")
