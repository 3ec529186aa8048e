// SPDX-License-Identifier: BSL-1.0
// Messages between two processes, of which one or both are on Asio, byte by byte: every bell, every
// way to send and to receive.
#include <ringbell/coro/when_all.hpp>
#include <ringbell/sys/cpu.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/asio_peers.hpp"
#include "support/bells.hpp"
#include "support/pattern.hpp"
#include "support/resources.hpp"

TEST_SUITE("asio peers") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kib = 1024;

/// What goes one way: sizes and bytes follow from the message's number.
struct stream {
  std::uint64_t messages;
  std::size_t most;   // bytes of the long ones ...
  unsigned long_one;  // ... one in so many

  std::size_t size(std::uint64_t n) const noexcept {
    if (n % 16 == 5) return 0;
    return pick(n, pick(n + 1, long_one) == 0 ? most + 1 : std::min<std::size_t>(most + 1, 2000));
  }
  std::vector<std::byte> bytes(std::uint64_t n) const { return patterned(size(n), n); }
  void check(std::uint64_t n, std::span<const std::byte> got) const {
    expect(n < messages, "no message too many");
    expect(got.size() == size(n), "the size of the next message in order");
    expect(matches(got, n), "the bytes of the next message in order");
  }
};

/// The ways of an Asio channel.
enum class way : unsigned {
  awaitables,  // ch.send, ch.recv
  operations,  // async_send, async_recv
  in_place,    // async_claim, async_recv_into
  callbacks,   // async_send, async_recv without a coroutine
  count
};
const std::string way_names[] = {"awaitables", "operations", "in place", "callbacks"};

using shared_channel = std::shared_ptr<asio_channel>;

// -- sending on Asio --

net::awaitable<void> send_one(asio_channel& ch, way w, std::span<const std::byte> bytes,
                              std::uint64_t n) {
  const net::const_buffer whole(bytes.data(), bytes.size());
  if (w == way::awaitables) {
    co_await ch.send(whole);
  } else if (w == way::in_place && bytes.size() <= ch.max_claim()) {
    // Somewhat more than is then sent, when there is room.
    claim c = co_await ch.async_claim(std::min<std::size_t>(bytes.size() + n % 3, ch.max_claim()),
                                      net::use_awaitable);
    std::ranges::copy(bytes, c.bytes().begin());
    c.commit(bytes.size());
  } else {
    const std::size_t first = bytes.size() / 3;
    const std::array<net::const_buffer, 2> pieces{net::buffer(whole, first), whole + first};
    co_await ch.async_send(pieces, net::use_awaitable);
  }
}

net::awaitable<void> send_all(shared_channel ch, way w, stream s) {
  for (std::uint64_t n = 0; n < s.messages; ++n) {
    const auto bytes = s.bytes(n);
    co_await send_one(*ch, w, bytes, n);
  }
  ch->close_send();
}

void send_by_callbacks(shared_channel ch, stream s, std::uint64_t n = 0) {
  if (n == s.messages) return ch->close_send();
  const auto bytes = std::make_shared<std::vector<std::byte>>(s.bytes(n));
  ch->async_send(net::buffer(*bytes), [ch, s, n, bytes](net_error_code e) {
    if (e) throw net_system_error(e, "a send");
    send_by_callbacks(ch, s, n + 1);
  });
}

// -- receiving on Asio --

void must_be_end(const net_error_code& error) {
  if (error != net::error::eof) throw net_system_error(error, "a receive");
}

net::awaitable<void> receive_copies(asio_channel& ch, stream s) {
  std::vector<std::byte> buffer(s.most);
  for (std::uint64_t n = 0;; ++n) {
    net_error_code error;
    const std::size_t size = co_await ch.async_recv_into(
        net::buffer(buffer), net::redirect_error(net::use_awaitable, error));
    if (error) {
      must_be_end(error);
      expect(n == s.messages, "all messages");
      co_return;
    }
    s.check(n, std::span(buffer).first(size));
  }
}

net::awaitable<void> receive_all(shared_channel ch, way w, stream s) {
  if (w == way::in_place) {
    co_await receive_copies(*ch, s);
    co_return;
  }
  for (std::uint64_t n = 0;; ++n) {
    std::optional<message> m;
    if (w == way::awaitables) {
      m = co_await ch->recv();
    } else {
      net_error_code error;
      m = co_await ch->async_recv(net::redirect_error(net::use_awaitable, error));
      if (error) {
        must_be_end(error);
        m.reset();
      }
    }
    if (!m) {
      expect(n == s.messages, "all messages");
      co_return;
    }
    s.check(n, m->bytes());
  }
}

void receive_by_callbacks(shared_channel ch, stream s, std::uint64_t n = 0) {
  ch->async_recv([ch, s, n](net_error_code e, const message& m) {
    if (e) {
      must_be_end(e);
      return expect(n == s.messages, "all messages");
    }
    s.check(n, m.bytes());
    receive_by_callbacks(ch, s, n + 1);
  });
}

// -- what the two do --

// Nobody can cancel these coroutines: so the awaitables need not suspend.
net::awaitable<void> both_ways(asio_channel ends, way w, stream s) {
  const auto ch = std::make_shared<asio_channel>(std::move(ends));
  if (w == way::callbacks) {
    send_by_callbacks(ch, s);
    receive_by_callbacks(ch, s);
    co_return;
  }
  net::co_spawn(co_await net::this_coro::executor, send_all(ch, w, s), rethrow);
  co_await receive_all(ch, w, s);
}

// These two can be cancelled, by each other.
net::awaitable<void> both_ways_as_one(asio_channel ends, way w, stream s) {
  const auto ch = std::make_shared<asio_channel>(std::move(ends));
  co_await (send_all(ch, w, s) && receive_all(ch, w, s));
}

net::awaitable<void> send_only(asio_channel ends, way w, stream s) {
  const auto ch = std::make_shared<asio_channel>(std::move(ends));
  if (w == way::callbacks) {
    send_by_callbacks(ch, s);
    receive_by_callbacks(ch, stream{0, 0, 1});
    co_return;
  }
  co_await send_all(ch, w, s);
  expect(!co_await ch->recv(), "the end of the stream");
}

net::awaitable<void> receive_only(asio_channel ends, way w, stream s) {
  const auto ch = std::make_shared<asio_channel>(std::move(ends));
  if (w == way::callbacks)
    receive_by_callbacks(ch, s);
  else
    co_await receive_all(ch, w, s);
}

task<void> native_send_all(sender to, stream s) {
  for (std::uint64_t n = 0; n < s.messages; ++n) {
    const auto bytes = s.bytes(n);
    co_await to.send(bytes);
  }
}
task<void> native_receive_all(receiver from, stream s) {
  for (std::uint64_t n = 0;; ++n) {
    const auto m = co_await from.recv();
    if (!m) {
      expect(n == s.messages, "all messages");
      co_return;
    }
    s.check(n, m->bytes());
  }
}
task<void> native_both_ways(loop&, channel ch, stream s) {
  auto [to, from] = std::move(ch).split();
  co_await when_all(native_send_all(std::move(to), s), native_receive_all(std::move(from), s));
}
task<void> native_send_only(loop&, channel ch, stream s) {
  auto [to, from] = std::move(ch).split();
  co_await native_send_all(std::move(to), s);
  expect(!co_await from.recv(), "the end of the stream");
}
task<void> native_receive_only(loop&, channel ch, stream s) {
  auto [to, from] = std::move(ch).split();
  co_await native_receive_all(std::move(from), s);
}

// -- echo --

void echo_by_callbacks(shared_channel ch) {
  ch->async_recv([ch](net_error_code e, message m) {
    if (e) return must_be_end(e);
    // Held until it is sent: the answer is sent from where the question lies.
    const auto kept = std::make_shared<message>(std::move(m));
    ch->async_send(net::buffer(kept->data(), kept->size()), [ch, kept](net_error_code failed) {
      if (failed) throw net_system_error(failed, "an echo");
      kept->release();
      echo_by_callbacks(ch);
    });
  });
}

net::awaitable<void> echo_copies(asio_channel& ch) {
  std::vector<std::byte> buffer(512 * kib);
  for (std::uint64_t n = 0;; ++n) {
    net_error_code error;
    const std::size_t size = co_await ch.async_recv_into(
        net::buffer(buffer), net::redirect_error(net::use_awaitable, error));
    if (error) {
      must_be_end(error);
      co_return;
    }
    co_await send_one(ch, way::in_place, std::span(buffer).first(size), n);
  }
}

net::awaitable<void> echo(asio_channel ch, way w) {
  switch (w) {
    case way::callbacks: echo_by_callbacks(std::make_shared<asio_channel>(std::move(ch))); break;
    case way::in_place: co_await echo_copies(ch); break;
    default:
      while (const auto m = co_await ch.recv()) co_await send_one(ch, w, m->bytes(), m->size());
  }
}

task<void> native_echo(loop&, channel ch) {
  while (const auto m = co_await ch.recv()) co_await ch.send(m->bytes());
}

std::vector<std::size_t> sizes_around_every_limit(std::size_t ring, std::size_t max_claim) {
  std::vector<std::size_t> sizes{0, 1, 7, 8, 95, 96, 97};
  for (const std::size_t limit : {ring / 4, max_claim, ring / 2, ring})
    for (const std::size_t around :
         {limit - 9, limit - 8, limit - 7, limit - 1, limit, limit + 1, limit + 8})
      sizes.push_back(around);
  sizes.push_back(300 * kib);
  for (std::uint64_t n = 0; n < 300; ++n) sizes.push_back(pick(n, 200));
  return sizes;
}

/// How this end is to have been connected, and what it is to have done.
struct terms {
  std::size_t ring;
  sys::bell_kind bell;
  bool sleeps;
};

// Of two that share a processor it may always be the same one.
void expect_sleep(const channel_statistics& s) {
  expect(s.parks + s.bells_rung > 0, "one of the two to have slept");
}

net::awaitable<void> expect_echoes(asio_channel ch, way w, terms t) {
  expect(detail::access::impl_of(ch)->parts().wakes_this == t.bell &&
             detail::access::impl_of(ch)->parts().wakes_peer == t.bell,
         "the bell that was asked for, both ways");
  std::uint64_t seed = 0;
  for (const std::size_t size : sizes_around_every_limit(t.ring, ch.max_claim())) {
    const auto bytes = patterned(size, ++seed);
    co_await send_one(ch, w, bytes, seed);
    if (w == way::awaitables) {
      const auto m = co_await ch.recv();
      expect(m && m->size() == size && matches(m->bytes(), seed), "the same message back");
    } else {
      const message m = co_await ch.async_recv(net::use_awaitable);
      expect(m.size() == size && matches(m.bytes(), seed), "the same message back");
    }
  }
  if (t.sleeps) expect_sleep(ch.statistics());
}

task<void> native_expect_echoes(loop&, channel ch, terms t) {
  expect(ch.woken_by() == t.bell && ch.wakes_peer_by() == t.bell,
         "the bell that was asked for, both ways");
  std::uint64_t seed = 0;
  for (const std::size_t size : sizes_around_every_limit(t.ring, ch.max_claim())) {
    const auto bytes = patterned(size, ++seed);
    co_await ch.send(bytes);
    const auto m = co_await ch.recv();
    expect(m && m->size() == size && matches(m->bytes(), seed), "the same message back");
  }
  if (t.sleeps) expect_sleep(ch.statistics());
}

// -- who is where --

enum class roles { native_server, asio_server, asio_both, count };

/// Runs `check(options, w)` for both sides on two processors and on one, each kind of bell, with
/// spinning and without, small rings and large ones; each with the next way of an Asio side.
template <class F>
void in_every_way(F check) {
  std::vector<sys::bell_set> sets{detail::default_bells};
  if (bells_here().size() > 1)
    for (const auto kind : bells_here()) sets.push_back(sys::bell_bit(kind));
  unsigned turn = 0;
  for (const bool one_cpu : {false, true})
    for (const sys::bell_set bells : sets)
      for (const spin_policy spin : {spin_policy::adaptive, spin_policy::none})
        for (const std::uint64_t ring : {4 * kib, 64 * kib}) {
          pair_options options;
          options.one_cpu = one_cpu;
          options.bells = bells;
          options.spin = spin;
          options.client_ring = options.server_ring = ring;
          // Two turns of every four: so each way meets each of the innermost two.
          const auto w = static_cast<way>((turn / 4 + turn) % static_cast<unsigned>(way::count));
          ++turn;
          CAPTURE(one_cpu);
          CAPTURE(bells);
          CAPTURE(spin == spin_policy::none);
          CAPTURE(ring);
          CAPTURE(way_names[static_cast<unsigned>(w)]);
          check(options, w);
        }
}

constexpr stream mixed{slow_here ? 20 : 60, 300 * kib, 10};
constexpr stream few{20, 300 * kib,
                     10};  // where both poll all the time, and others want the processors

void stream_both_ways(roles r) {
  in_every_way([r](const pair_options& options, way w) {
    const side native = native_side(native_both_ways, mixed), asio = asio_side(both_ways, w, mixed);
    CHECK(run_peers(r == roles::native_server ? native : asio,
                    r == roles::asio_server ? native : asio, options) == both_well);
  });
}

void echo_every_size(roles r) {
  in_every_way([r](const pair_options& options, way w) {
    terms t;
    t.ring = static_cast<std::size_t>(options.client_ring);
    t.bell = options.bells == sys::bell_bit(sys::bell_kind::socket) ? sys::bell_kind::socket
                                                                    : bells_here().front();
    t.sleeps = options.spin == spin_policy::none;
    const side server = r == roles::native_server ? native_side(native_echo) : asio_side(echo, w);
    const side client = r == roles::asio_server ? native_side(native_expect_echoes, t)
                                                : asio_side(expect_echoes, w, t);
    CHECK(run_peers(server, client, options) == both_well);
  });
}

constexpr stream many_small{slow_here ? 2'000 : 20'000, 64, 1};

void stream_many_small(roles r) {
  for (const bool one_cpu : {false, true})
    for (const way w : {way::awaitables, way::operations, way::in_place, way::callbacks}) {
      // Towards the server in one, from it in the other.
      const bool to_server = (w == way::awaitables || w == way::in_place) != one_cpu;
      pair_options options;
      options.one_cpu = one_cpu;
      CAPTURE(one_cpu);
      CAPTURE(way_names[static_cast<unsigned>(w)]);
      const side sends[] = {native_side(native_send_only, many_small),
                            asio_side(send_only, w, many_small)};
      const side receives[] = {native_side(native_receive_only, many_small),
                               asio_side(receive_only, w, many_small)};
      const side* const server = to_server ? receives : sends;
      const side* const client = to_server ? sends : receives;
      CHECK(run_peers(server[r != roles::native_server], client[r != roles::asio_server],
                      options) == both_well);
    }
}

}  // namespace

TEST_CASE(
    "a native server and an Asio client send each other messages of all sizes at the same time") {
  stream_both_ways(roles::native_server);
}
TEST_CASE(
    "an Asio server and a native client send each other messages of all sizes at the same time") {
  stream_both_ways(roles::asio_server);
}
TEST_CASE(
    "an Asio server and an Asio client send each other messages of all sizes at the same time") {
  stream_both_ways(roles::asio_both);
}

TEST_CASE("a native server echoes to an Asio client") { echo_every_size(roles::native_server); }
TEST_CASE("an Asio server echoes to a native client") { echo_every_size(roles::asio_server); }
TEST_CASE("an Asio server echoes to an Asio client") { echo_every_size(roles::asio_both); }

TEST_CASE("thousands of small messages go one way between a native server and an Asio client") {
  stream_many_small(roles::native_server);
}
TEST_CASE("thousands of small messages go one way between an Asio server and a native client") {
  stream_many_small(roles::asio_server);
}
TEST_CASE("thousands of small messages go one way between an Asio server and an Asio client") {
  stream_many_small(roles::asio_both);
}

TEST_CASE("directions that can cancel each other carry messages as well") {
  for (const way w : {way::awaitables, way::operations, way::in_place})
    for (const std::uint64_t ring : {4 * kib, 64 * kib}) {
      pair_options options;
      options.client_ring = options.server_ring = ring;
      CAPTURE(way_names[static_cast<unsigned>(w)]);
      CHECK(run_peers(native_side(native_both_ways, mixed), asio_side(both_ways_as_one, w, mixed),
                      options) == both_well);
      CHECK(run_peers(asio_side(both_ways_as_one, w, mixed), asio_side(both_ways, w, mixed),
                      options) == both_well);
    }
}

TEST_CASE("rings of different sizes, and sides that always spin, work together") {
  pair_options options;
  options.client_ring = 4 * kib;
  options.server_ring = 1024 * kib;
  CHECK(run_peers(native_side(native_both_ways, mixed),
                  asio_side(both_ways, way::awaitables, mixed), options) == both_well);
  CHECK(run_peers(asio_side(both_ways, way::operations, mixed),
                  asio_side(both_ways, way::in_place, mixed), options) == both_well);
  if (sys::usable_cpus() < 2) {
    MESSAGE("skipped: spinning needs a second processor");
    return;
  }
  options.spin = spin_policy::always;
  CHECK(run_peers(native_side(native_both_ways, few), asio_side(both_ways, way::awaitables, few),
                  options) == both_well);
  CHECK(run_peers(asio_side(both_ways, way::operations, few),
                  asio_side(both_ways, way::in_place, few), options) == both_well);
}

}  // TEST_SUITE("asio peers")
