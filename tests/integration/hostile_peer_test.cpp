// SPDX-License-Identifier: BSL-1.0
// A peer that breaks every rule harms its own channel only: the other side does not crash, hang or
// leak, and goes on serving others.
#include <ringbell/channel/connect.hpp>
#include <ringbell/coro/as_result.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/applies.hpp"
#include "support/hostile_client.hpp"
#include "support/hostile_handles.hpp"
#include "support/raw_peer.hpp"
#include "support/turns.hpp"
#include "support/victims.hpp"

TEST_SUITE("hostile_peer") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

// -- what a hostile client tells a server --

handshake::hello hello_with(const std::function<void(handshake::hello&)>& change) {
  handshake::hello h = raw_client::greeting();
  change(h);
  return h;
}

}  // namespace

TEST_CASE("a greeting that is garbage is refused, however long it is") {
  const victims v;
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    std::vector<std::byte> garbage(1 + random() % 200);
    for (auto& b : garbage) b = static_cast<std::byte>(random());
    if (i % 2 == 0) {
      const auto good = handshake::encode(raw_client::greeting());
      std::copy_n(good.storage.begin(), std::min(garbage.size(), i % 48 + std::size_t{1}),
                  garbage.begin());
    }
    raw_peer attacker = raw_peer::connected_to(v.path());
    attacker.send(garbage);
    if (says_no_more(attacker)) CHECK(attacker.hangs_up());
  }
}

TEST_CASE("a greeting that is cut off, or is some other frame, is refused") {
  const victims v;
  const auto good = handshake::encode(raw_client::greeting());
  for (std::size_t n = 0; n < good.size; ++n) {
    raw_peer attacker = raw_peer::connected_to(v.path());
    attacker.send(good.bytes().first(n));
    if (says_no_more(attacker)) CHECK(attacker.hangs_up());
  }
  for (const handshake::frame& wrong :
       {handshake::frame(handshake::welcome{}), handshake::frame(handshake::refused{})}) {
    raw_peer attacker = raw_peer::connected_to(v.path());
    attacker.send(wrong);
    CHECK(attacker.hangs_up());
  }
}

TEST_CASE("impossible sizes, versions and bells are refused") {
  const victims v;
  const auto region = sealed_page([](ring::control_page&) {});
  const auto bell = event();
  std::vector<sys::native_handle> handles{region.get(), bell.get()};
  handles.resize(handshake::expected_handles(raw_client::greeting()));
  const auto check = [&](const std::function<void(handshake::hello&)>& change) {
    expect_refusal(v.path(), hello_with(change), handles);
  };
  for (const std::uint64_t size :
       std::vector<std::uint64_t>{0, 1, 4095, 12288, std::uint64_t{1} << 40, ~std::uint64_t{0}})
    check([&](handshake::hello& h) { h.ring_bytes = size; });
  check([](handshake::hello& h) { h.wanted_ring_bytes = 3; });
  check([](handshake::hello& h) { h.version_min = h.version_max = 99; });
  check([](handshake::hello& h) { h.version_min = 2, h.version_max = 1; });
  check([](handshake::hello& h) { h.can_ring = 0; });
  check([](handshake::hello& h) { h.can_ring = h.can_wait_on = 0xffffff00; });
}

TEST_CASE(
    "handles that are missing, too many, or not what they have to be are refused, and not kept") {
  const victims v;
  const auto hello = raw_client::greeting();
  const auto count = handshake::expected_handles(hello);
  const auto region = sealed_page([](ring::control_page&) {});
  const auto bell = event();
  const auto before = v.server_descriptors();
  // As many as there have to be, and one more or less; what is asked for is a region, and where
  // bells are handles one of those.
  const auto refused = [&](std::initializer_list<sys::native_handle> handles) {
    expect_refusal(v.path(), hello, handles);
  };
  refused({});
  if (count == 2) refused({region.get()});
  refused({region.get(), bell.get(), bell.get()});
  refused({region.get(), bell.get(), bell.get(), bell.get()});
  const auto refused_as_region = [&](sys::native_handle wrong) {
    const sys::native_handle both[] = {wrong, bell.get()};
    expect_refusal(v.path(), hello, {both, both + count});
  };
  refused_as_region(bell.get());
  refused_as_region(weak_memory().get());
  for (const std::uint64_t size : {std::uint64_t{8192}, std::uint64_t{1} << 20}) {
    std::error_code error;
    const sys::region other = detail::create_ring_region(size, error);
    REQUIRE_FALSE(error);
    refused_as_region(other.shared_handle());
  }
  for (const auto& change : std::vector<std::function<void(ring::control_page&)>>{
           [](ring::control_page& p) { p.magic = 0; }, [](ring::control_page& p) { p.version = 2; },
           [](ring::control_page& p) { p.ring_bytes = 1 << 20; },
           [](ring::control_page& p) { std::memset(static_cast<void*>(&p), 0xff, sizeof p); }})
    refused_as_region(sealed_page(change).get());
  if (count == 2) refused({region.get(), region.get()});
  CHECK(eventually([&] { return v.server_descriptors() <= before + handles_of_the_system; }));
}

TEST_CASE("impossible indexes and records end the session with bad_peer") {
  const victims v;
  using attack = std::function<void(raw_client&)>;
  const std::vector<attack> attacks{
      [](raw_client& a) { publish(a, header(8, 0), 1 << 20); },             // beyond the ring
      [](raw_client& a) { publish(a, header(8, 0), ~ring::position{7}); },  // backwards
      [](raw_client& a) { publish(a, header(8, 0), 12); },                  // crooked
      [](raw_client& a) { publish(a, header(8, 0), 8); },  // a record that ends beyond the tail
      [](raw_client& a) { publish(a, header(~0U, 0), 4096); },  // ... beyond everything
      [](raw_client& a) { publish(a, header(8, 8), 16); },      // a flag that does not exist
      [](raw_client& a) {
        publish(a, header(8, ring::record_header::pad), 16);
      },  // a pad before the end
      [](raw_client& a) {
        publish(a, header(4088, ring::record_header::pad), 4096);
      },  // ... of the whole ring
      [](raw_client& a) {
        publish(a, header(8, ring::record_header::pad | ring::record_header::more), 16);
      },
      [](raw_client& a) {
        publish(a, header(4, ring::record_header::more), 16);
      },  // a fragment without a total
      [](raw_client& a) { publish(a, header(8, ring::record_header::abandon), 16); },
      [](raw_client& a) {  // a total beyond the limit
        const std::uint64_t total = std::uint64_t{1} << 60;
        std::memcpy(a.data() + 8, &total, sizeof total);
        publish(a, header(16, ring::record_header::more), 24);
      },
      [](raw_client& a) {  // a total that is reached too early
        const std::uint64_t total = 4;
        std::memcpy(a.data() + 8, &total, sizeof total);
        publish(a, header(16, ring::record_header::more), 24);
      },
      [](raw_client& a) {  // an express record that is too long
        const std::uint64_t word = header(97, 0);
        std::memcpy(a.page().express.data(), &word, sizeof word);
        a.page().express_position = 0;
        publish(a, 0, 112);
      },
      [](raw_client& a) {  // a pad in the express slot
        const std::uint64_t word = header(8, ring::record_header::pad);
        std::memcpy(a.page().express.data(), &word, sizeof word);
        a.page().express_position = 0;
        publish(a, 0, 16);
      },
  };
  const auto bells = bells_here();
  for (std::size_t i = 0; i < attacks.size(); ++i) {
    CAPTURE(i);
    const int before = v.counts().bad_peer;
    for (int twice = 0; twice < 2;
         ++twice) {  // for the session that reads in place, and for the one that copies
      raw_client attacker(v.path(), bells[i % bells.size()]);
      REQUIRE(attacker.greeted());
      attacks[i](attacker);
      CHECK(attacker.hangs_up());
    }
    CHECK(eventually([&] { return v.counts().bad_peer == before + 2; }));
  }
}

TEST_CASE("heads that cannot be end the session with bad_peer as soon as the server needs space") {
  const victims v;
  for (const ring::position head : {ring::position{1} << 20, ring::position{1} << 40,
                                    ~ring::position{7}, ring::position{2}, ring::position{5000}}) {
    CAPTURE(head);
    const int before = v.counts().bad_peer;
    raw_client attacker(v.path());
    REQUIRE(attacker.greeted());
    attacker.page().rx_head = head;
    // Its answers to these do not fit its ring: so it has to look at our head.
    ring::position tail = 0;
    bool over = false;
    for (int i = 0; i < 64 && !over; ++i) {
      const std::uint64_t word = header(120, 0);
      std::memcpy(attacker.data() + tail % raw_client::ring_bytes, &word, sizeof word);
      tail += 128;
      attacker.page().tx_tail = tail;
      attacker.ring();
      // Until the server has taken it, and waits for more or for space.
      CHECK(eventually([&] {
        return (over = attacker.hangs_up(0ms)) || attacker.peer_page().rx_head.load() == tail;
      }));
    }
    CHECK((over || attacker.hangs_up()));
    CHECK(eventually([&] { return v.counts().bad_peer == before + 1; }));
  }
}

TEST_CASE("a region scribbled over at random, all the time, harms nobody else") {
  const victims v;
  std::mt19937_64 random(2);
  const auto bells = bells_here();
  const std::size_t sessions = turns(20);
  for (std::size_t session = 0; session < sessions; ++session) {
    raw_client attacker(v.path(), bells[session % bells.size()]);
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
  CHECK(v.counts().others == 0);
  MESSAGE(sessions << " scribbling clients: " << v.counts().bad_peer.load()
                   << " sessions ended by bad_peer, " << v.counts().peer_closed.load()
                   << " by peer_closed, " << v.counts().orderly.load() << " in order; "
                   << v.counts().honest_round_trips.load()
                   << " honest round trips, the longest took "
                   << v.counts().longest_round_trip / 1000 << " us");
}

TEST_CASE("records that change while they are read harm nobody else") {
  const victims v;
  std::mt19937_64 random(3);
  for (int sessions = 0; sessions < 20; ++sessions) {
    raw_client attacker(v.path());
    REQUIRE(attacker.greeted());
    // One true tail of many small records; then each header goes on changing between a message and
    // a fragment.
    const auto slots = raw_client::ring_bytes / 16;
    auto* const words = reinterpret_cast<std::atomic<std::uint64_t>*>(attacker.data());
    for (std::uint64_t i = 0; i < slots; ++i) words[2 * i] = header(8, 0);
    attacker.page().rx_head = ring::closed_bit;
    attacker.page().tx_tail = raw_client::ring_bytes;
    attacker.ring();
    for (int i = 0; i < 20000; ++i)
      words[2 * (random() % slots)] = header(8, random() % 2 == 0 ? ring::record_header::more : 0);
  }
  CHECK(v.counts().others == 0);
}

TEST_CASE(
    "a flood of bytes and handles on the control socket harms nobody, and no handle is kept") {
  const victims v;
  const auto before = v.server_descriptors();
  for (const auto kind : bells_here()) {
    raw_client attacker(v.path(), kind);
    REQUIRE(attacker.greeted());
    const auto held = v.server_descriptors();
    const std::vector<std::byte> bytes(65536);
    const auto handles = for_a_flood(attacker.own.shared_handle());
    std::uint64_t sent = 0;
    const auto until = clock_type::now() + 150ms;
    while (clock_type::now() < until) {
      // Where the kernel keeps handles out, they make the whole send fail.
      if (const auto n = attacker.socket.send(bytes, handles)) sent += *n;
      if (const auto n = attacker.socket.send(bytes)) sent += *n;
    }
    CHECK(sent > 0);
    CHECK(v.server_descriptors() <= held + static_cast<int>(sys::received_handles::capacity));
    // The channel still works, where bytes were all that came.
    if (kind == sys::bell_kind::socket && keeps_handles_out()) {
      publish(attacker, header(8, 0), 16);
      CHECK(eventually([&] { return attacker.peer_page().tx_tail.load() == 16; }));
    }
  }
  CHECK(eventually([&] { return v.server_descriptors() <= before + handles_of_the_system; }));
}

TEST_CASE("bells that are rung in a storm harm nobody") {
  const victims v;
  for (const auto kind : bells_here()) {
    raw_client attacker(v.path(), kind);
    REQUIRE(attacker.greeted());
    for (const auto until = clock_type::now() + 150ms; clock_type::now() < until;) attacker.ring();
    jam(attacker.peer_bell);
    publish(attacker, header(8, 0), 16);
    attacker.page().data_wake_at = 0;
    if (kind == sys::bell_kind::socket) attacker.ring();
    CHECK(attacker.peer_page().magic == ring::region_magic);
  }
}

// -- what a hostile server tells a client --

namespace {

task<std::error_code> error_of_connect(loop& lp, std::string path, connect_options options) {
  co_return (co_await as_result(connect(lp, path, options))).error();
}

/// Long enough for a greeting, and short enough to be waited for.
constexpr auto some_time = 400ms;

/// Answers the first greeting by `attack`; the error that a client then gets, which waits that
/// long.
template <class F>
std::error_code connect_to_hostile_server(F attack,
                                          std::chrono::nanoseconds client_waits = patience) {
  const temporary_folder folder;
  const std::string path = folder / "hostile";
  const milestone listening;
  bool attacked = false;
  std::thread server([&] {
    std::error_code error;
    sys::local_listener l = sys::local_listener::bind(path, false, error);
    listening.reach();
    if (error || !poll_for(l.native(), POLLIN, patience)) return;
    raw_peer client(l.accept(error));
    if (error || !client.answer()) return;
    attack(client);
    attacked = true;
    client.hangs_up();
  });
  listening.wait();
  loop lp;
  connect_options options;
  options.timeout = client_waits;
  options.ring_bytes = 4096;
  const auto error = lp.run(error_of_connect(lp, path, options));
  server.join();
  CHECK(attacked);
  return error;
}

handshake::welcome good_welcome() {
  handshake::welcome w;
  w.wakes_client = bells_here().front();
  w.wakes_server = bells_here().back();
  w.ring_bytes = raw_client::ring_bytes;
  w.max_message = 1 << 20;
  return w;
}

}  // namespace

TEST_CASE("a server whose answer is garbage, or none, is given up") {
  CHECK(connect_to_hostile_server([](raw_peer& c) {
          c.send(std::vector<std::byte>(64, std::byte{0x5a}));
        }) == errc::bad_peer);
  CHECK(connect_to_hostile_server([](raw_peer& c) { c.send(raw_client::greeting()); }) ==
        errc::bad_peer);
  CHECK(connect_to_hostile_server(
            [](raw_peer& c) { c.send(handshake::encode(good_welcome()).bytes().first(20)); },
            some_time) == errc::timed_out);
  CHECK(connect_to_hostile_server([](raw_peer&) {}, some_time) == errc::timed_out);
  // It may be a server that was just going away: the next attempts find nobody.
  const auto hung_up =
      connect_to_hostile_server([](raw_peer& c) { c.socket = sys::local_socket(); }, some_time);
  CHECK((hung_up == errc::no_server || hung_up == errc::peer_closed || hung_up == errc::timed_out));
}

TEST_CASE("a server that chooses what was not offered, or sends the wrong handles, is given up" *
          not_on(shim, "shared memory is a file on Linux, so that any file is taken for it")) {
  const auto answer = [](const std::function<void(handshake::welcome&)>& change,
                         auto make_handles) {
    return connect_to_hostile_server([&](raw_peer& c) {
      handshake::welcome w = good_welcome();
      change(w);
      const auto owned = make_handles();
      std::vector<sys::native_handle> handles;
      for (const sys::handle& h : owned) handles.push_back(h.get());
      c.send(w, handles);
    });
  };
  using handles = std::vector<sys::handle>;
  const auto region = [] {
    handles h;
    h.push_back(sealed_page([](ring::control_page&) {}));
    return h;
  };
  // ... and a bell, where the good welcome has one that is a handle.
  const auto with_bell = [](sys::handle first) {
    handles h;
    h.push_back(std::move(first));
    if (good_welcome().wakes_server == sys::bell_kind::eventfd) h.push_back(event());
    return h;
  };
  const auto good = [&] { return with_bell(sealed_page([](ring::control_page&) {})); };
  const auto same = [](handshake::welcome&) {};

  CHECK_FALSE(answer(same, good));  // the honest one connects
  CHECK(answer([](handshake::welcome& w) { w.version = 7; }, good) == errc::bad_peer);
  CHECK(answer([](handshake::welcome& w) { w.wakes_client = sys::bell_kind::futex; }, good) ==
        errc::bad_peer);
  CHECK(answer([](handshake::welcome& w) { w.ring_bytes = 12345; }, good) == errc::bad_peer);
  CHECK(answer([](handshake::welcome& w) { w.ring_bytes = 8192; }, good) == errc::bad_region);
  CHECK(answer([](handshake::welcome& w) { w.ring_bytes = std::uint64_t{1} << 30; }, good) ==
        errc::bad_region);
  CHECK(answer([](handshake::welcome& w) { w.wakes_server = sys::bell_kind::eventfd; }, region) ==
        errc::bad_peer);
  CHECK(answer(same, [] { return handles(); }) == errc::bad_peer);
  CHECK(answer(same, [&] {
          handles h = good();
          h.push_back(event());
          return h;
        }) == errc::bad_peer);
  CHECK(answer(same, [&] { return with_bell(event()); }) == errc::bad_region);
  CHECK(answer(same, [&] { return with_bell(weak_memory()); }) == errc::bad_region);
  CHECK(answer([](handshake::welcome& w) { w.wakes_server = sys::bell_kind::eventfd; },
               [&] {
                 handles h = region();
                 h.push_back(weak_memory());
                 return h;
               }) == errc::bad_peer);
}

TEST_CASE("a refusal reaches the client by its reason") {
  for (const errc reason :
       {errc::refused_version, errc::refused_unauthorized, errc::refused_too_many,
        errc::refused_ring_size, errc::refused_bell, errc::refused_stopping,
        errc::refused_malformed, errc::refused_too_many_of_user, errc::refused_no_resources}) {
    handshake::refused no;
    no.reason = reason;
    CHECK(connect_to_hostile_server([&](raw_peer& c) { c.send(no); }) == reason);
  }
}

}  // TEST_SUITE("hostile_peer")
