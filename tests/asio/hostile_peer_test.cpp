// SPDX-License-Identifier: BSL-1.0
// A peer that breaks every rule harms its own channel only: an Asio side, parked or not, does not
// crash, hang or leak, and goes on serving others.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "support/asio_victims.hpp"
#include "support/bells.hpp"
#include "support/hostile_handles.hpp"
#include "support/os_usage.hpp"
#include "support/turns.hpp"

TEST_SUITE("asio hostile_peer") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

/// Whether the process sleeps through some time.
template <class Id>
bool is_quiet(Id process) {
  return eventually([&] {
    const usage before = usage::of(process);
    std::this_thread::sleep_for(200ms);
    const usage after = usage::of(process);
    return after.sleeps - before.sleeps <= 1 && after.cpu - before.cpu < 1ms + usage::cpu_step;
  });
}

/// Each kind of bell in its turn.
sys::bell_kind bell_of(std::size_t turn) {
  const auto kinds = bells_here();
  return kinds[turn % kinds.size()];
}

}  // namespace

TEST_CASE(
    "bytes and handles on the control socket of a parked side harm nobody, and no handle is kept") {
  const asio_victims v;
  const int before = v.descriptors();
  std::mt19937_64 random(7);
  for (const auto kind : bells_here()) {
    CAPTURE(std::string(sys::name_of(kind)));
    for (unsigned w = 0; w < asio_ways; ++w) {
      raw_client attacker(v.path(), kind);
      REQUIRE(attacker.greeted());
      REQUIRE(is_parked(attacker));
      std::vector<std::byte> bytes(65536);
      for (auto& b : bytes) b = static_cast<std::byte>(random());
      const int held = v.descriptors();
      const auto handles = for_a_flood(attacker.own.shared_handle());
      std::uint64_t sent = 0;
      for (const auto until = clock_type::now() + 100ms; clock_type::now() < until;) {
        // Where the kernel keeps handles out, they make the whole send fail.
        if (const auto n = attacker.socket.send(bytes, handles)) sent += *n;
        if (const auto n = attacker.socket.send(bytes)) sent += *n;
      }
      CHECK(sent > 0);
      CHECK(v.descriptors() <= held + static_cast<int>(sys::received_handles::capacity));
      CHECK(answers(attacker));
    }
  }
  CHECK(eventually([&] { return v.descriptors() <= before + handles_of_the_system; }));
}

TEST_CASE(
    "garbage that is left on the control socket, and bells that nobody takes, do not keep a parked side awake") {
  const lone_server v;
  for (const auto kind : bells_here()) {
    CAPTURE(std::string(sys::name_of(kind)));
    raw_client attacker(v.path(), kind);
    REQUIRE(attacker.greeted());
    REQUIRE(is_parked(attacker));
    const std::vector<std::byte> garbage(4096);
    for (int i = 0; i < 1000; ++i) {
      (void)attacker.socket.send(garbage);
      attacker.ring();
    }
    CHECK(is_quiet(v.id()));
    CHECK(answers(attacker));
    CHECK(is_quiet(v.id()));
  }
  // Nor does what a peer leaves behind when it goes.
  CHECK(eventually([&] {
    return v.counts().orderly + v.counts().peer_closed == static_cast<int>(bells_here().size());
  }));
  CHECK(is_quiet(v.id()));
}

TEST_CASE("a peer that rings without end costs time only") {
  const asio_victims v;
  for (const auto kind : bells_here()) {
    CAPTURE(std::string(sys::name_of(kind)));
    for (unsigned w = 0; w < asio_ways; ++w) {
      raw_client attacker(v.path(), kind);
      REQUIRE(attacker.greeted());
      REQUIRE(is_parked(attacker));
      const std::uint64_t before = v.counts().honest_round_trips;
      std::uint64_t rung = 0;
      for (const auto until = clock_type::now() + 100ms; clock_type::now() < until; ++rung)
        attacker.ring();
      CHECK(rung > 0);
      CHECK(eventually([&] { return v.counts().honest_round_trips > before + 3; }));
      CHECK(answers(attacker));
    }
  }
}

TEST_CASE("a peer that hangs up is gone") {
  const asio_victims v;
  const int before = v.descriptors();
  int expected = v.counts().peer_closed;
  for (const auto kind : bells_here())
    for (unsigned w = 0; w < asio_ways; ++w) {
      CAPTURE(std::string(sys::name_of(kind)));
      raw_client attacker(v.path(), kind);
      REQUIRE(attacker.greeted());
      REQUIRE(is_parked(attacker));
      attacker.socket = sys::local_socket();
      ++expected;
      CHECK(eventually([&] { return v.counts().peer_closed == expected; }));
    }
  CHECK(eventually([&] { return v.descriptors() <= before + handles_of_the_system; }));
}

TEST_CASE("impossible indexes and records end a session with bad_peer, however it receives") {
  const asio_victims v;
  using attack = std::function<void(raw_client&)>;
  const std::vector<attack> attacks{
      [](raw_client& a) { publish(a, header(8, 0), 1 << 20); },             // beyond the ring
      [](raw_client& a) { publish(a, header(8, 0), ~ring::position{7}); },  // backwards
      [](raw_client& a) { publish(a, header(8, 0), 12); },                  // crooked
      [](raw_client& a) { publish(a, header(~0U, 0), 4096); },  // a record beyond everything
      [](raw_client& a) { publish(a, header(8, 8), 16); },      // a flag that does not exist
      [](raw_client& a) {
        publish(a, header(8, ring::record_header::pad), 16);
      },  // a pad before the end
      [](raw_client& a) {
        publish(a, header(4, ring::record_header::more), 16);
      },                   // a fragment without a total
      [](raw_client& a) {  // a total beyond the limit
        const std::uint64_t total = std::uint64_t{1} << 60;
        std::memcpy(a.data() + 8, &total, sizeof total);
        publish(a, header(16, ring::record_header::more), 24);
      },
      [](raw_client& a) {  // an express record that is too long
        const std::uint64_t word = header(97, 0);
        std::memcpy(a.page().express.data(), &word, sizeof word);
        a.page().express_position = 0;
        publish(a, 0, 112);
      },
  };
  int expected = 0;
  for (std::size_t i = 0; i < attacks.size(); ++i)
    for (unsigned w = 0; w < asio_ways; ++w) {
      CAPTURE(i);
      raw_client attacker(v.path(), bell_of(w));
      REQUIRE(attacker.greeted());
      if (i % 2 == 0) REQUIRE(is_parked(attacker));
      attacks[i](attacker);
      CHECK(attacker.hangs_up());
      ++expected;
      CHECK(eventually([&] { return v.counts().bad_peer == expected; }));
    }
}

TEST_CASE("a message that never comes to its end gives the others their turn") {
  const asio_victims v;
  for (unsigned w = 0; w < asio_ways; ++w) {
    raw_client attacker(v.path(), bell_of(w));
    REQUIRE(attacker.greeted());
    const std::uint64_t before = v.counts().honest_round_trips;
    // Messages of two fragments each, the second of which gives it up: nothing is ever received.
    ring::position tail = 0;
    const std::uint64_t total = 1 << 20;
    auto* const words = reinterpret_cast<std::atomic<std::uint64_t>*>(attacker.data());
    const auto put = [&](std::uint64_t word) {
      words[tail % raw_client::ring_bytes / 8] = word;
      tail += 8;
    };
    const auto begin = clock_type::now();
    const auto taken_in = [&] { return tail > raw_client::ring_bytes; };
    for (auto spent = 0ns; spent < 150ms || (!taken_in() && spent < patience);
         spent = clock_type::now() - begin) {
      if (tail - attacker.peer_page().rx_head.load() > raw_client::ring_bytes - 64) continue;
      put(header(16, ring::record_header::more));
      put(total);
      put(0);
      put(header(0, ring::record_header::abandon));
      attacker.page().tx_tail = tail;
      if (tail % 1024 == 0) attacker.ring();
    }
    CHECK(taken_in());
    CHECK(v.counts().bad_peer == 0);
    CHECK(eventually([&] { return v.counts().honest_round_trips > before + 3; }));
  }
}

TEST_CASE("a region scribbled over at random, all the time, harms nobody else") {
  const asio_victims v;
  std::mt19937_64 random(2);
  const std::size_t sessions = turns(20);
  for (std::size_t session = 0; session < sessions; ++session) {
    raw_client attacker(v.path(), bell_of(session));
    REQUIRE(attacker.greeted());
    auto* const words = reinterpret_cast<std::atomic<std::uint64_t>*>(attacker.own.data());
    ring::position tail = 0;
    for (int i = 0; i < 20000; ++i) {
      switch (random() % 8) {
        case 0:  // anything anywhere
          words[random() % (region_bytes / 8)] = random();
          break;
        case 1: words[random() % 16] = random() % 2 == 0 ? random() : random() % 8192; break;
        case 2:  // tails and heads that may be true
          attacker.page().rx_head = attacker.peer_page().tx_tail.load();
          attacker.page().tx_tail = tail += 8 * (random() % 64);
          break;
        default:  // records that may be true, under the reader's eyes
          words[ring::control_bytes / 8 + random() % (raw_client::ring_bytes / 8)] =
              header(static_cast<std::uint32_t>(random() % 256),
                     random() % 4 == 0 ? static_cast<std::uint32_t>(random() % 8) : 0);
      }
      if (i % 64 == 0) attacker.ring();
      if (i % 1024 == 1023 && attacker.hangs_up(0ms)) break;
    }
  }
  MESSAGE(sessions << " scribbling clients: " << v.counts().bad_peer.load()
                   << " sessions ended by bad_peer, " << v.counts().peer_closed.load()
                   << " by a reset, " << v.counts().orderly.load() << " in order; "
                   << v.counts().honest_round_trips.load()
                   << " honest round trips, the longest took "
                   << v.counts().longest_round_trip / 1000 << " us");
}

// -- what a hostile server tells a client --

namespace {

/// Long enough for a greeting, and short enough to be waited for.
constexpr auto some_time = 400ms;

/// What a hostile server does once it has been greeted; `reason` is for those who refuse.
using attack = void (*)(raw_peer&, errc reason);

int be_hostile_server(const std::string& path, const milestone& listening, attack how,
                      errc reason) {
  std::error_code error;
  sys::local_listener l = sys::local_listener::bind(path, false, error);
  listening.reach();
  if (error || !poll_for(l.native(), POLLIN, patience)) return 1;
  raw_peer client(l.accept(error));
  if (error || !client.answer()) return 2;
  how(client, reason);
  client.hangs_up();
  return 0;
}

/// The error that an Asio client gets from such a server, for which it waits that long.
std::error_code error_of_connect(attack how, errc reason = {},
                                 std::chrono::nanoseconds client_waits = patience) {
  const temporary_folder folder;
  const std::string path = folder / "hostile";
  const milestone listening;
  child_process server(&be_hostile_server, path, listening, how, reason);
  listening.wait();
  connect_options options;
  options.timeout = client_waits;
  options.ring_bytes = 4096;
  net_error_code outcome;
  bool ended = false;
  const int before = open_descriptors();
  {
    net::io_context context;
    async_connect(context, path, options, [&](net_error_code e, const asio_channel& ch) {
      ended = true;
      outcome = e;
      CHECK(ch.is_open() == !e);
    });
    CHECK(run_until(context, [&] { return ended; }));
    CHECK(context.run() == 0);
  }
  CHECK(open_descriptors() <= before + handles_of_the_system);
  CHECK(server.wait() == 0);
  return std_error(outcome);
}

handshake::welcome good_welcome() {
  handshake::welcome w;
  w.wakes_client = bells_here().front();
  w.wakes_server = bells_here().back();
  w.ring_bytes = raw_client::ring_bytes;
  w.max_message = 1 << 20;
  return w;
}

/// Answers well, but with `region`; and with a bell, where there is none that is the socket.
void welcome(raw_peer& c, sys::native_handle region) {
  const auto bell = event();
  const sys::native_handle handles[] = {region, bell.get()};
  c.send(good_welcome(),
         std::span(handles).first(good_welcome().wakes_server == sys::bell_kind::eventfd ? 2 : 1));
}

}  // namespace

TEST_CASE("a server whose answer is garbage, hostile, or none, is given up by an Asio client") {
  CHECK(error_of_connect([](raw_peer& c, auto) {
          c.send(std::vector<std::byte>(64, std::byte{0x5a}));
        }) == errc::bad_peer);
  CHECK(error_of_connect([](raw_peer& c, auto) { c.send(raw_client::greeting()); }) ==
        errc::bad_peer);
  CHECK(error_of_connect([](raw_peer& c, auto) { c.send(good_welcome()); }) ==
        errc::bad_peer);  // without the handles
  CHECK(error_of_connect([](raw_peer& c, auto) { welcome(c, event().get()); }) == errc::bad_region);
  CHECK(error_of_connect([](raw_peer& c, auto) { welcome(c, weak_memory().get()); }) ==
        errc::bad_region);
  CHECK(error_of_connect(
            [](raw_peer& c, auto) { c.send(handshake::encode(good_welcome()).bytes().first(20)); },
            {}, some_time) == std_error(net::error::timed_out));
  CHECK(error_of_connect([](raw_peer&, auto) {}, {}, some_time) ==
        std_error(net::error::timed_out));
  CHECK_FALSE(error_of_connect([](raw_peer& c, auto) {  // the honest one
    std::error_code failed;
    const sys::region region = detail::create_ring_region(raw_client::ring_bytes, failed);
    if (!failed) welcome(c, region.shared_handle());
  }));
}

TEST_CASE("a refusal reaches an Asio client by its reason") {
  for (const errc reason :
       {errc::refused_version, errc::refused_unauthorized, errc::refused_too_many,
        errc::refused_ring_size, errc::refused_bell, errc::refused_stopping,
        errc::refused_malformed, errc::refused_too_many_of_user, errc::refused_no_resources}) {
    CHECK(error_of_connect(
              [](raw_peer& c, errc why) {
                handshake::refused no;
                no.reason = why;
                c.send(no);
              },
              reason) == reason);
  }
}

}  // TEST_SUITE("asio hostile_peer")
