// SPDX-License-Identifier: BSL-1.0
// Messages between two processes, byte by byte: every size, both directions, every bell, every way
// to send and to receive.
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/sys/cpu.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "support/applies.hpp"
#include "support/pair.hpp"
#include "support/pattern.hpp"

TEST_SUITE("transfer") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = kib * kib;

// -- one direction: sizes and bytes follow from the message's number --

std::size_t size_of_message(std::uint64_t n) { return pick(n, 32 * kib + 1); }

task<void> send_numbered(sender& to, std::uint64_t bytes) {
  std::vector<std::byte> buffer(32 * kib);
  for (std::uint64_t n = 0, sent = 0; sent < bytes; ++n) {
    const std::size_t size = std::min(size_of_message(n), to.max_claim());
    sent += size;
    if (n % 2 == 0) {
      const std::span<std::byte> message = std::span(buffer).first(size);
      fill(message, n);
      co_await to.send(message);
    } else {
      claim c = co_await to.claim(size + n % 3 > to.max_claim() ? size : size + n % 3);
      fill(c.bytes().first(size), n);
      c.commit(size);
    }
  }
}

task<std::uint64_t> receive_numbered(receiver& from, std::size_t max_claim) {
  std::uint64_t received = 0;
  for (std::uint64_t n = 0;; ++n) {
    const auto m = co_await from.recv();
    if (!m) co_return received;
    expect(m->size() == std::min(size_of_message(n), max_claim),
           "the size of the next message in order");
    expect(matches(m->bytes(), n), "the bytes of the next message in order");
    received += m->size();
  }
}

template <std::uint64_t Bytes>
task<void> send_only(loop&, channel ch) {
  co_await send_numbered(ch.sender(), Bytes);
  ch.sender().close();
  expect(!co_await ch.recv(), "the end of the stream");
}

template <std::uint64_t Bytes>
task<void> receive_only(loop&, channel ch) {
  expect(co_await receive_numbered(ch.receiver(), ch.max_claim()) >= Bytes, "all bytes");
}

template <std::uint64_t Bytes>
task<void> send_and_close(sender to) {
  co_await send_numbered(to, Bytes);
}
template <std::uint64_t Bytes>
task<void> receive_to_end(receiver from, std::size_t max_claim) {
  expect(co_await receive_numbered(from, max_claim) >= Bytes, "all bytes");
}

// The halves of a channel in coroutines of their own, that end independently.
template <std::uint64_t Bytes>
task<void> both_directions(loop&, channel ch) {
  const std::size_t max_claim = ch.max_claim();
  auto [to, from] = std::move(ch).split();
  co_await when_all(send_and_close<Bytes>(std::move(to)),
                    receive_to_end<Bytes>(std::move(from), max_claim));
}

// -- echo --

task<void> echo(loop&, channel ch) {
  while (auto m = co_await ch.recv()) co_await ch.send(m->bytes());
}

std::vector<std::size_t> sizes_around_every_limit(std::size_t ring, std::size_t max_claim) {
  std::vector<std::size_t> sizes{0, 1, 7, 8, 95, 96, 97};
  for (const std::size_t limit : {ring / 4, ring / 2, max_claim, ring, mib})
    for (const std::size_t around :
         {limit - 9, limit - 8, limit - 7, limit - 1, limit, limit + 1, limit + 8})
      sizes.push_back(around);
  sizes.push_back(64 * mib);
  return sizes;
}

template <std::size_t Ring>
task<void> expect_echo_of_every_size(loop&, channel ch) {
  std::uint64_t n = 0;
  for (const std::size_t size : sizes_around_every_limit(Ring, ch.max_claim())) {
    const auto bytes = patterned(size, ++n);
    co_await ch.send(bytes);
    const auto m = co_await ch.recv();
    expect(m && m->size() == size && matches(m->bytes(), n), "the same message back");
  }
}

task<void> expect_small_echoes(loop&, channel ch) {
  for (std::uint64_t n = 0; n < 3000; ++n) {
    const auto bytes = patterned(pick(n, 200), n);
    co_await ch.send(bytes);
    const auto m = co_await ch.recv();
    expect(m && m->size() == bytes.size() && matches(m->bytes(), n), "the same message back");
  }
}

template <sys::bell_kind Kind>
task<void> echoes_then_stream(loop& lp, channel ch) {
  expect(ch.woken_by() == Kind && ch.wakes_peer_by() == Kind,
         "the bell that was asked for, both ways");
  for (std::uint64_t n = 0; n < 2000; ++n) {
    const auto bytes = patterned(pick(n, 200), n);
    co_await ch.send(bytes);
    const auto m = co_await ch.recv();
    expect(m && matches(m->bytes(), n), "the same message back");
  }
  expect(ch.statistics().parks > 0, "this side to have slept");
  co_await both_directions<16 * mib>(lp, std::move(ch));
}

template <sys::bell_kind Kind>
task<void> answer_then_stream(loop& lp, channel ch) {
  for (int i = 0; i < 2000; ++i) {
    const auto m = co_await ch.recv();
    expect(m.has_value(), "a message");
    co_await ch.send(m->bytes());
  }
  co_await both_directions<16 * mib>(lp, std::move(ch));
}

template <sys::bell_kind Kind>
void check_bell(spin_policy spin, bool one_cpu) {
  pair_options options;
  options.bells = sys::bell_bit(Kind);
  options.spin = spin;
  options.one_cpu = one_cpu;
  CHECK(run_pair(answer_then_stream<Kind>, echoes_then_stream<Kind>, options) == both_well);
}

template <sys::bell_kind Kind>
void check_bell() {
  check_bell<Kind>(spin_policy::none, false);
  check_bell<Kind>(spin_policy::none, true);
}

// -- the many ways to send and to receive --

constexpr std::uint64_t gathered_messages = 400;
std::vector<std::size_t> pieces_of(std::uint64_t n) {
  std::vector<std::size_t> sizes(pick(n, 7));
  for (std::size_t i = 0; i < sizes.size(); ++i)
    sizes[i] = pick(n * 8 + i, i % 3 == 0 ? 2 : n % 50 == 0 ? 200000 : 3000);
  return sizes;
}

task<void> send_gathered(loop&, channel ch) {
  for (std::uint64_t n = 0; n < gathered_messages; ++n) {
    const auto sizes = pieces_of(n);
    std::size_t total = 0;
    for (const std::size_t size : sizes) total += size;
    const auto bytes = patterned(total, n);
    std::vector<std::span<const std::byte>> pieces;
    std::size_t at = 0;
    for (const std::size_t size : sizes) {
      pieces.push_back(std::span(bytes).subspan(at, size));
      at += size;
    }
    co_await ch.send_gather(pieces);
  }
  ch.sender().close();
  expect(!co_await ch.recv(), "the end of the stream");
}

task<void> receive_gathered(loop&, channel ch) {
  for (std::uint64_t n = 0; n < gathered_messages; ++n) {
    std::size_t total = 0;
    for (const std::size_t size : pieces_of(n)) total += size;
    const auto m = co_await ch.recv();
    expect(m && m->size() == total && matches(m->bytes(), n), "the pieces as one message");
  }
  expect(!co_await ch.recv(), "the end of the stream");
}

constexpr std::uint64_t batches = 300;
constexpr std::uint64_t per_batch = 100;

task<void> send_batches(loop&, channel ch) {
  for (std::uint64_t b = 0; b < batches; ++b) {
    const sender::batch together(ch.sender());
    for (std::uint64_t i = 0; i < per_batch; ++i) {
      const std::uint64_t n = b * per_batch + i;
      const auto bytes = patterned(pick(n, 130), n);
      co_await ch.send(bytes);
    }
  }
  ch.sender().close();
  expect(!co_await ch.recv(), "the end of the stream");
}

task<void> receive_batches(loop&, channel ch) {
  for (std::uint64_t n = 0; n < batches * per_batch; ++n) {
    const auto m = co_await ch.recv();
    expect(m && m->size() == pick(n, 130) && matches(m->bytes(), n), "the next message in order");
  }
  expect(!co_await ch.recv(), "the end of the stream");
}

task<void> send_for_buffers(loop&, channel ch) {
  for (std::uint64_t n = 0; n < 500; ++n) {
    const auto bytes = patterned(pick(n, 3000), n);
    co_await ch.send(bytes);
  }
  for (const std::size_t size : {std::size_t{101}, 3 * mib}) {
    const auto bytes = patterned(size, size);
    co_await ch.send(bytes);
  }
  expect(!co_await ch.recv(), "the end of the stream");
}

task<void> receive_into_buffers(loop&, channel ch) {
  std::vector<std::byte> buffer(3 * mib);
  for (std::uint64_t n = 0; n < 500; ++n) {
    const auto size = co_await ch.recv_into(buffer);
    expect(size && *size == pick(n, 3000) && matches(std::span(buffer).first(*size), n),
           "a copy of the message");
  }
  for (const std::size_t size : {std::size_t{101}, 3 * mib}) {
    for (int attempt = 0; attempt < 3; ++attempt) {
      const auto failed = co_await as_result(ch.recv_into(std::span(buffer).first(size - 1)));
      expect(failed.error() == errc::message_too_large, "a buffer that is too small to be refused");
    }
    const auto now = co_await ch.recv_into(buffer);
    expect(now && *now == size && matches(std::span(buffer).first(size), size),
           "the message to be still there");
  }
}

constexpr std::uint64_t held_messages = 5000;

task<void> send_to_holder(loop&, channel ch) {
  for (std::uint64_t n = 0; n < held_messages; ++n) {
    const auto bytes = patterned(pick(n, 4000), n);
    co_await ch.send(bytes);
  }
  ch.sender().close();
  expect(!co_await ch.recv(), "the end of the stream");
}

task<void> hold_out_of_order(loop&, channel ch) {
  struct held_message {
    held_message(message with, std::uint64_t seed) : m(std::move(with)), n(seed) {}
    message m;
    std::uint64_t n;
  };
  std::vector<held_message> held;
  for (std::uint64_t n = 0; n < held_messages; ++n) {
    auto m = co_await ch.recv();
    expect(m && m->size() == pick(n, 4000), "the next message in order");
    held.emplace_back(*std::move(m), n);
    while (held.size() > pick(n, 8)) {
      const std::size_t which = pick(n + held.size(), held.size());
      expect(matches(held[which].m.bytes(), held[which].n),
             "a message to stay as it was while it is held");
      std::swap(held[which], held.back());
      held.pop_back();
    }
  }
  expect(!co_await ch.recv(), "the end of the stream");
  for (const held_message& h : held)
    expect(matches(h.m.bytes(), h.n), "a message to outlive the stream");
}

task<void> send_too_much(loop&, channel ch) {
  expect(ch.max_message() == 100000, "the peer's limit");
  const auto bytes = patterned(100001, 1);
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto sent = co_await as_result(ch.send(bytes));
    expect(sent.error() == errc::message_too_large,
           "a message beyond the peer's limit to be refused");
    expect(ch.try_send(std::span(bytes).first(ch.max_claim() + 1)) == errc::message_too_large,
           "try_send beyond the ring to be refused");
    expect((co_await as_result(ch.claim(ch.max_claim() + 1))).error() == errc::message_too_large,
           "a claim beyond the ring to be refused");
  }
  co_await ch.send(std::span(bytes).first(100000));
  const auto m = co_await ch.recv();
  expect(m && m->size() == 100000, "the channel to go on");
}

constexpr std::uint64_t slow_messages = 200;
task<void> receive_slowly(loop&, channel ch) {
  for (std::uint64_t n = 0; n < slow_messages; ++n) {
    if (n % 4 == 0) co_await sleep_for(1ms);
    const auto m = co_await ch.recv();
    expect(m && m->size() == pick(n, 7000) && matches(m->bytes(), n), "the next message in order");
  }
  expect(!co_await ch.recv(), "the end of the stream");
}
task<void> send_fast(loop&, channel ch) {
  for (std::uint64_t n = 0; n < slow_messages; ++n) {
    const auto bytes = patterned(pick(n, 7000), n);
    co_await ch.send(bytes);
  }
  expect(ch.statistics().ring_full_stalls > 0, "the ring to have been full");
  ch.sender().close();
  expect(!co_await ch.recv(), "the end of the stream");
}

}  // namespace

TEST_CASE("a gibibyte of mixed messages passes one direction unchanged and in order") {
  CHECK(run_pair(receive_only<1024 * mib>, send_only<1024 * mib>) == both_well);
}

TEST_CASE("both directions carry messages at the same time, in coroutines of their own") {
  CHECK(run_pair(both_directions<128 * mib>, both_directions<128 * mib>) == both_well);
}

TEST_CASE("messages of every size come back unchanged through rings of 64 KiB") {
  CHECK(run_pair(echo, expect_echo_of_every_size<64 * kib>) == both_well);
}

TEST_CASE("messages of every size come back unchanged through rings of 4 KiB") {
  pair_options options;
  options.client_ring = options.server_ring = 4 * kib;
  CHECK(run_pair(echo, expect_echo_of_every_size<4 * kib>, options) == both_well);
}

TEST_CASE("rings of different sizes work together") {
  pair_options options;
  options.client_ring = 4 * kib;
  options.server_ring = 1 * mib;
  CHECK(run_pair(echo, expect_echo_of_every_size<4 * kib>, options) == both_well);
}

TEST_CASE("two processes on one processor exchange messages" *
          not_on(bsd | darwin, "a process cannot be bound to a processor")) {
  pair_options options;
  options.one_cpu = true;
  CHECK(run_pair(echo, expect_small_echoes, options) == both_well);
  CHECK(run_pair(both_directions<64 * mib>, both_directions<64 * mib>, options) == both_well);
  options.client_ring = options.server_ring = 4 * kib;
  CHECK(run_pair(echo, expect_echo_of_every_size<4 * kib>, options) == both_well);
}

TEST_CASE("sides that sleep are woken by their eventfd" * needs_eventfd) {
  check_bell<sys::bell_kind::eventfd>();
}
TEST_CASE("sides that sleep are woken by bytes on the control socket" * needs_socket_bell) {
  check_bell<sys::bell_kind::socket>();
}

TEST_CASE("sides that sleep are woken by a futex" *
          not_on(kqueue_hosts, "no loop waits on a futex")) {
  {
    const loop lp;
    if (!lp.can_wait_on_futex()) {
      MESSAGE("skipped: this loop cannot wait on a futex: " << lp.backend_reason());
      return;
    }
  }
  check_bell<sys::bell_kind::futex>();
}

TEST_CASE("sides that always spin, and sides that never do, work together") {
  pair_options options;
  options.spin = spin_policy::none;
  CHECK(run_pair(both_directions<64 * mib>, both_directions<64 * mib>, options) == both_well);
  if (sys::usable_cpus() < 2) {
    MESSAGE("skipped: spinning needs a second processor");
    return;
  }
  options.spin = spin_policy::always;
  CHECK(run_pair(both_directions<64 * mib>, both_directions<64 * mib>, options) == both_well);
}

TEST_CASE("pieces that are sent together arrive as one message") {
  CHECK(run_pair(receive_gathered, send_gathered) == both_well);
}

TEST_CASE("batches of messages arrive in order") {
  CHECK(run_pair(receive_batches, send_batches) == both_well);
}

TEST_CASE("messages are received into buffers, and one that does not fit is still there") {
  CHECK(run_pair(receive_into_buffers, send_for_buffers) == both_well);
}

TEST_CASE("messages held for long, and released in any order, do not change") {
  CHECK(run_pair(hold_out_of_order, send_to_holder) == both_well);
}

TEST_CASE("a message beyond the peer's limit is refused by the sender, and the channel goes on") {
  pair_options options;
  options.server_max_message = 100000;
  CHECK(run_pair(echo, send_too_much, options) == both_well);
}

TEST_CASE("a slow reader behind a tiny ring gets every message") {
  pair_options options;
  options.client_ring = options.server_ring = 4 * kib;
  CHECK(run_pair(receive_slowly, send_fast, options) == both_well);
}

}  // TEST_SUITE("transfer")
