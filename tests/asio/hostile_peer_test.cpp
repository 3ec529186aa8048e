// SPDX-License-Identifier: BSL-1.0
// A peer that breaks every rule harms its own channel only: an Asio side, parked or not, does not crash, hang or leak, and goes on serving others.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/hostile_client.hpp"
#include "support/hostile_handles.hpp"
#include "support/os_usage.hpp"
#include "support/raw_peer.hpp"
#include "support/victims.hpp"

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

// -- the victims --

void note_end(const net_error_code& error, outcomes& to) {
  if (error == net::error::eof)
    ++to.orderly;
  else if (error == net::error::connection_reset)
    ++to.peer_closed;
  else if (std_error(error) == errc::bad_peer)
    ++to.bad_peer;
  else
    ++to.others;
}

net::awaitable<void> echo_in_place(asio_channel& ch) {
  for (;;) {
    const message m = co_await ch.async_recv(net::use_awaitable);
    co_await ch.async_send(net::buffer(m.data(), m.size()), net::use_awaitable);
  }
}
net::awaitable<void> echo_fast(asio_channel& ch) {
  while (const auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
}
net::awaitable<void> echo_copies(asio_channel& ch) {
  std::vector<std::byte> buffer(1 << 20);
  for (;;) {
    const std::size_t size = co_await ch.async_recv_into(net::buffer(buffer), net::use_awaitable);
    co_await ch.async_send(net::buffer(buffer.data(), size), net::use_awaitable);
  }
}

/// How sessions receive: each in its turn.
enum class way : unsigned { in_place, fast, copies, count };

net::awaitable<void> session(asio_channel ch, way w, outcomes& to) {
  net_error_code error = net::error::eof;  // an echo that returns has come to the end
  try {
    switch (w) {
      case way::in_place: co_await echo_in_place(ch); break;
      case way::fast: co_await echo_fast(ch); break;
      default: co_await echo_copies(ch);
    }
  } catch (const net_system_error& e) {
    error = e.code();
  }
  note_end(error, to);
}

net::awaitable<void> serve_all(std::string path, outcomes& to) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  asio_listener l(executor, path, for_tests());
  for (unsigned n = 0;; ++n) {
    asio_channel ch = co_await l.async_accept(net::use_awaitable);
    net::co_spawn(executor, session(std::move(ch), static_cast<way>(n % static_cast<unsigned>(way::count)), to), rethrow);
  }
}

net::awaitable<void> be_honest(std::string path, const milestone& connected, outcomes& to) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  asio_channel ch = co_await async_connect(executor, path, net::use_awaitable);
  connected.reach();
  net::steady_timer timer(executor);
  for (std::uint64_t n = 0;; ++n) {
    const auto begin = clock_type::now();
    co_await ch.send(net::buffer(&n, sizeof n));
    {
      const auto m = co_await ch.recv();
      expect(m && m->size() == sizeof n && std::memcmp(m->data(), &n, sizeof n) == 0, "an echo");
    }
    to.longest_round_trip = std::max<std::int64_t>(to.longest_round_trip, (clock_type::now() - begin).count());
    ++to.honest_round_trips;
    timer.expires_after(1ms);
    co_await timer.async_wait(net::use_awaitable);
  }
}

template <class F>
int run_on_a_context(F make) {
  net::io_context context;
  net::co_spawn(context, make(), rethrow);
  context.run();
  return 0;
}

/// A server on Asio in a process of its own.
class lone_server {
public:
  lone_server() : server_([this] { return run_on_a_context([this] { return serve_all(path(), *outcomes_); }); }) {}
  /// It must still be there.
  ~lone_server() { CHECK_FALSE(poll_for(server_.pid_handle(), POLLIN, 0ms)); }
  lone_server(const lone_server&) = delete;
  lone_server& operator=(const lone_server&) = delete;

  std::string path() const { return folder_ / "server"; }
  pid_t id() const { return server_.id(); }
  outcomes& counts() const { return *outcomes_; }
  int descriptors() const { return descriptors_of(server_.id()); }

private:
  temporary_folder folder_;
  shared_object<outcomes> outcomes_;
  child_process server_;
};

/// ... with an honest client of it, on Asio as well. At the end both must still be there, and at work.
class asio_victims : public lone_server {
public:
  asio_victims() : client_([this] { return run_on_a_context([this] { return be_honest(path(), connected_, counts()); }); }) {
    connected_.wait();
    REQUIRE(eventually([this] { return counts().honest_round_trips > 0; }));  // from now on the server holds all that it will
  }
  ~asio_victims() {
    const std::uint64_t so_far = counts().honest_round_trips;
    CHECK(eventually([&] { return counts().honest_round_trips > so_far + 3; }));
    CHECK(counts().longest_round_trip < 5'000'000'000);
    CHECK(counts().others == 0);
    CHECK_FALSE(poll_for(client_.pid_handle(), POLLIN, 0ms));
  }

private:
  milestone connected_;
  child_process client_;
};

/// Whether the process sleeps through some time.
bool is_quiet(pid_t process) {
  return eventually([&] {
    const usage before = usage::of(process);
    ::usleep(200'000);
    const usage after = usage::of(process);
    return after.sleeps - before.sleeps <= 1 && after.cpu - before.cpu < 1ms;
  });
}

// -- the attacker --

/// Whether the session of an attacker that has sent nothing yet still answers: parked, it has to hear the bell.
bool answers(raw_client& attacker) {
  publish(attacker, header(8, 0), 16);
  return eventually([&] { return attacker.peer_page().tx_tail.load() == 16; });
}

/// Until its session sleeps for data: from then on the attacker's bell is listened to.
bool is_parked(const raw_client& attacker) {
  return eventually([&] { return attacker.peer_page().data_wake_at.load() != never; });
}

}  // namespace

TEST_CASE("bytes and handles on the control socket of a parked side harm nobody, and no handle is kept") {
  const asio_victims v;
  const int before = v.descriptors();
  std::mt19937_64 random(7);
  for (const auto kind : bells_here()) {
    CAPTURE(std::string(sys::name_of(kind)));
    for (unsigned w = 0; w < static_cast<unsigned>(way::count); ++w) {
      raw_client attacker(v.path(), kind);
      REQUIRE(attacker.greeted());
      REQUIRE(is_parked(attacker));
      std::vector<std::byte> bytes(65536);
      for (auto& b : bytes) b = static_cast<std::byte>(random());
      const std::array<sys::native_handle, 4> handles{0, 1, 2, attacker.own.shared_handle()};
      std::uint64_t sent = 0;
      for (const auto until = clock_type::now() + 150ms; clock_type::now() < until;)
        if (const auto n = attacker.socket.send(bytes, handles)) sent += *n;
      CHECK(sent > 0);
      CHECK(v.descriptors() <= before + 6);
      CHECK(answers(attacker));
    }
  }
  CHECK(eventually([&] { return v.descriptors() <= before; }));
}

TEST_CASE("garbage that is left on the control socket, and bells that nobody takes, do not keep a parked side awake") {
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
  CHECK(eventually([&] { return v.counts().orderly + v.counts().peer_closed == static_cast<int>(bells_here().size()); }));
  CHECK(is_quiet(v.id()));
}

TEST_CASE("a peer that makes the eventfd blocking, reads it empty or fills it, holds nobody up") {
  const asio_victims v;
  const int before = v.descriptors();
  const int ended_before = v.counts().peer_closed;
  struct trick {
    bool full;
    bool blocking;
  };
  constexpr trick tricks[] = {{false, true}, {true, true}, {true, false}, {false, true}, {true, true}, {true, false}};
  for (const trick t : tricks) {
    CAPTURE(t.full);
    CAPTURE(t.blocking);
    raw_client attacker(v.path());
    REQUIRE(attacker.greeted());
    REQUIRE(is_parked(attacker));
    const int fd = attacker.peer_bell.native();  // the one that wakes the server
    const std::uint64_t most = ~std::uint64_t{1};
    std::uint64_t counter = 0;
    CHECK(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    (void)!::read(fd, &counter, sizeof counter);
    if (t.full) {
      while (::write(fd, &most, sizeof most) > 0) {}
    }
    if (t.blocking) CHECK(::fcntl(fd, F_SETFL, 0) == 0);
    if (!t.full) {
      CHECK(answers(attacker));
      // Time and again, while it looks: each look would hang if it read the counter.
      for (int i = 0; i < 100; ++i) {
        attacker.ring();
        CHECK(::read(fd, &counter, sizeof counter) > 0);
      }
    }
  }
  // A bell that cannot be rung any more is the attacker's own loss; the hang-up is still heard.
  CHECK(eventually([&] { return v.counts().peer_closed == ended_before + static_cast<int>(std::size(tricks)); }));
  CHECK(eventually([&] { return v.descriptors() <= before; }));
}

TEST_CASE("a peer that rings without end costs time only") {
  const asio_victims v;
  for (const auto kind : bells_here()) {
    CAPTURE(std::string(sys::name_of(kind)));
    for (unsigned w = 0; w < static_cast<unsigned>(way::count); ++w) {
      raw_client attacker(v.path(), kind);
      REQUIRE(attacker.greeted());
      REQUIRE(is_parked(attacker));
      const std::uint64_t before = v.counts().honest_round_trips;
      std::uint64_t rung = 0;
      for (const auto until = clock_type::now() + 200ms; clock_type::now() < until; ++rung) attacker.ring();
      CHECK(rung > 0);
      CHECK(eventually([&] { return v.counts().honest_round_trips > before + 3; }));
      CHECK(answers(attacker));
    }
  }
}

TEST_CASE("a peer that hangs up one half, or all, of the control socket is gone") {
  const asio_victims v;
  const int before = v.descriptors();
  int expected = v.counts().peer_closed;
  for (const auto kind : bells_here())
    for (const int how : std::vector<int>{SHUT_RD, SHUT_WR, SHUT_RDWR, -1}) {
      CAPTURE(std::string(sys::name_of(kind)));
      CAPTURE(how);
      raw_client attacker(v.path(), kind);
      REQUIRE(attacker.greeted());
      REQUIRE(is_parked(attacker));
      if (how < 0)
        attacker.socket = sys::local_socket();
      else
        CHECK(::shutdown(attacker.socket.native(), how) == 0);
      // Whoever only stops reading is still there.
      if (how == SHUT_RD) {
        if (kind == sys::bell_kind::eventfd) CHECK(answers(attacker));
        attacker.socket = sys::local_socket();
      }
      ++expected;
      CHECK(eventually([&] { return v.counts().peer_closed == expected; }));
    }
  CHECK(eventually([&] { return v.descriptors() <= before; }));
}

TEST_CASE("impossible indexes and records end a session with bad_peer, however it receives") {
  const asio_victims v;
  using attack = std::function<void(raw_client&)>;
  const std::vector<attack> attacks{
      [](raw_client& a) { publish(a, header(8, 0), 1 << 20); },               // beyond the ring
      [](raw_client& a) { publish(a, header(8, 0), ~position{7}); },          // backwards
      [](raw_client& a) { publish(a, header(8, 0), 12); },                    // crooked
      [](raw_client& a) { publish(a, header(~0U, 0), 4096); },                // a record beyond everything
      [](raw_client& a) { publish(a, header(8, 8), 16); },                    // a flag that does not exist
      [](raw_client& a) { publish(a, header(8, record_header::pad), 16); },   // a pad before the end
      [](raw_client& a) { publish(a, header(4, record_header::more), 16); },  // a fragment without a total
      [](raw_client& a) {                                                     // a total beyond the limit
        const std::uint64_t total = std::uint64_t{1} << 60;
        std::memcpy(a.data() + 8, &total, sizeof total);
        publish(a, header(16, record_header::more), 24);
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
    for (unsigned w = 0; w < static_cast<unsigned>(way::count); ++w) {
      CAPTURE(i);
      raw_client attacker(v.path(), w % 2 == 0 ? sys::bell_kind::socket : bells_here().front());
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
  for (unsigned w = 0; w < static_cast<unsigned>(way::count); ++w) {
    raw_client attacker(v.path(), w % 2 == 0 ? sys::bell_kind::socket : bells_here().front());
    REQUIRE(attacker.greeted());
    const std::uint64_t before = v.counts().honest_round_trips;
    // Messages of two fragments each, the second of which gives it up: nothing is ever received.
    position tail = 0;
    const std::uint64_t total = 1 << 20;
    auto* const words = reinterpret_cast<std::atomic<std::uint64_t>*>(attacker.data());
    const auto put = [&](std::uint64_t word) {
      words[tail % raw_client::ring_bytes / 8] = word;
      tail += 8;
    };
    for (const auto until = clock_type::now() + 300ms; clock_type::now() < until;) {
      if (tail - attacker.peer_page().rx_head.load() > raw_client::ring_bytes - 64) continue;
      put(header(16, record_header::more));
      put(total);
      put(0);
      put(header(0, record_header::abandon));
      attacker.page().tx_tail = tail;
      if (tail % 1024 == 0) attacker.ring();
    }
    CHECK(tail > raw_client::ring_bytes);  // they were taken in
    CHECK(v.counts().bad_peer == 0);
    CHECK(eventually([&] { return v.counts().honest_round_trips > before + 3; }));
  }
}

TEST_CASE("a region scribbled over at random, all the time, harms nobody else") {
  const asio_victims v;
  std::mt19937_64 random(2);
  int sessions = 0;
  for (const auto until = clock_type::now() + 1500ms; clock_type::now() < until; ++sessions) {
    raw_client attacker(v.path(), sessions % 2 == 0 ? sys::bell_kind::socket : bells_here().front());
    if (!attacker.greeted()) continue;
    auto* const words = reinterpret_cast<std::atomic<std::uint64_t>*>(attacker.own.data());
    position tail = 0;
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
          words[control_bytes / 8 + random() % (raw_client::ring_bytes / 8)] =
              header(static_cast<std::uint32_t>(random() % 256), random() % 4 == 0 ? static_cast<std::uint32_t>(random() % 8) : 0);
      }
      if (i % 64 == 0) attacker.ring();
      if (i % 1024 == 1023 && attacker.hangs_up(0ms)) break;
    }
  }
  CHECK(sessions > 3);
  MESSAGE(sessions << " scribbling clients: " << v.counts().bad_peer.load() << " sessions ended by bad_peer, "
                   << v.counts().peer_closed.load() << " by a reset, " << v.counts().orderly.load() << " in order; "
                   << v.counts().honest_round_trips.load() << " honest round trips, the longest took "
                   << v.counts().longest_round_trip / 1000 << " us");
}

// -- what a hostile server tells a client --

namespace {

/// Answers the first greeting by `attack`; the error that an Asio client then gets.
template <class F>
net_error_code connect_to_hostile_server(F attack) {
  const temporary_folder folder;
  const std::string path = folder / "hostile";
  const milestone listening;
  child_process server([&] {
    std::error_code error;
    sys::local_listener l = sys::local_listener::bind(path, false, error);
    listening.reach();
    if (error || !poll_for(l.native(), POLLIN, 10s)) return 1;
    raw_peer client(l.accept(error));
    if (error || !client.answer()) return 2;
    attack(client);
    client.hangs_up(5s);
    return 0;
  });
  listening.wait();
  connect_options options;
  options.timeout = 400ms;
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
  CHECK(open_descriptors() == before);
  return outcome;
}

handshake::welcome good_welcome() {
  handshake::welcome w;
  w.wakes_client = bells_here().front();
  w.wakes_server = sys::bell_kind::socket;
  w.ring_bytes = raw_client::ring_bytes;
  w.max_message = 1 << 20;
  return w;
}

}  // namespace

TEST_CASE("a server whose answer is garbage, hostile, or none, is given up by an Asio client") {
  const auto error_of = [](auto attack) { return std_error(connect_to_hostile_server(attack)); };
  CHECK(error_of([](raw_peer& c) { c.send(std::vector<std::byte>(64, std::byte{0x5a})); }) == errc::bad_peer);
  CHECK(error_of([](raw_peer& c) { c.send(raw_client::greeting()); }) == errc::bad_peer);
  CHECK(error_of([](raw_peer& c) { c.send(good_welcome()); }) == errc::bad_peer);  // without the handle
  CHECK(error_of([](raw_peer& c) {
          const auto bell = event();
          const sys::native_handle handles[] = {bell.get()};
          c.send(good_welcome(), handles);
        }) == errc::bad_region);
  CHECK(error_of([](raw_peer& c) {
          const auto weak = weak_memory();
          const sys::native_handle handles[] = {weak.get()};
          c.send(good_welcome(), handles);
        }) == errc::bad_region);
  CHECK(error_of([](raw_peer& c) { c.send(handshake::encode(good_welcome()).bytes().first(20)); }) == errc::timed_out);
  CHECK(error_of([](raw_peer&) {}) == errc::timed_out);
  CHECK_FALSE(error_of([](raw_peer& c) {  // the honest one
    const auto region = sealed_page([](control_page&) {});
    const sys::native_handle handles[] = {region.get()};
    c.send(good_welcome(), handles);
  }));
}

TEST_CASE("a refusal reaches an Asio client by its reason") {
  for (const errc reason : {errc::refused_version, errc::refused_unauthorized, errc::refused_too_many, errc::refused_ring_size,
                            errc::refused_bell, errc::refused_stopping, errc::refused_malformed, errc::refused_too_many_of_user}) {
    handshake::refused no;
    no.reason = reason;
    CHECK(std_error(connect_to_hostile_server([&](raw_peer& c) { c.send(no); })) == reason);
  }
}
