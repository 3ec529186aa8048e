// SPDX-License-Identifier: BSL-1.0
// The two ends on loops of their own, in two threads: what two processes do, where a thread
// sanitizer can watch.
#include <ringbell/channel/channel.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "support/channel_pair.hpp"
#include "support/pattern.hpp"
#include "support/turns.hpp"

TEST_SUITE("channel_threads") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

loop_options with(spin_policy spin) {
  loop_options o;
  o.spin = spin;
  return o;
}

std::uint64_t number_in(const message& m) {
  std::uint64_t n = ~std::uint64_t{0};
  if (m.size() >= sizeof n) std::memcpy(&n, m.data(), sizeof n);
  return n;
}

}  // namespace

TEST_CASE("two threads exchange messages one by one") {
  const std::uint64_t messages = turns(20000);
  for (const auto spin : {spin_policy::none, spin_policy::adaptive}) {
    CAPTURE(static_cast<int>(spin));
    std::uint64_t wrong = 0;
    on_two_loops(
        [](loop&, channel ch) -> task<void> {
          while (const auto m = co_await ch.recv()) co_await ch.send(m->bytes());
        },
        [&](loop&, channel ch) -> task<void> {
          std::vector<std::byte> bytes(300);
          for (std::uint64_t n = 0; n < messages; ++n) {
            const auto message = std::span(bytes).first(sizeof n + pick(n, 200));
            std::memcpy(message.data(), &n, sizeof n);
            co_await ch.send(message);
            const auto m = co_await ch.recv();
            if (!m || m->size() != message.size() || number_in(*m) != n) ++wrong;
          }
        },
        with(spin));
    CHECK(wrong == 0);
  }
}

TEST_CASE("one thread sends to another as fast as it can") {
  const std::uint64_t messages = turns(100000);
  for (const auto spin : {spin_policy::none, spin_policy::adaptive}) {
    CAPTURE(static_cast<int>(spin));
    std::uint64_t received = 0, wrong = 0;
    on_two_loops(
        [&](loop&, channel ch) -> task<void> {
          while (const auto m = co_await ch.recv()) {
            const std::uint64_t n = received++;
            if (number_in(*m) != n || m->size() != sizeof n + pick(n, 300) ||
                !matches(m->bytes().subspan(sizeof n), n))
              ++wrong;
          }
        },
        [&](loop&, channel ch) -> task<void> {
          for (std::uint64_t n = 0; n < messages; ++n) {
            claim c = co_await ch.claim(sizeof n + pick(n, 300));
            std::memcpy(c.bytes().data(), &n, sizeof n);
            fill(c.bytes().subspan(sizeof n), n);
            c.commit();
          }
        },
        with(spin));
    CHECK(received == messages);
    CHECK(wrong == 0);
  }
}

TEST_CASE(
    "two threads send each other messages of many sizes at the same time, some in fragments") {
  const std::uint64_t messages = turns(3000);
  for (const auto spin : {spin_policy::none, spin_policy::adaptive}) {
    CAPTURE(static_cast<int>(spin));
    std::uint64_t received[2] = {0, 0}, wrong[2] = {0, 0};
    const auto send_all = [&](sender to) -> task<void> {
      std::vector<std::byte> bytes(40000);
      for (std::uint64_t n = 0; n < messages; ++n) {
        const auto message =
            std::span(bytes).first(pick(n, pick(n + 7, 20) == 0 ? bytes.size() : 3000));
        fill(message, n);
        co_await to.send(message);
      }
    };
    const auto receive_all = [](receiver from, std::uint64_t& count,
                                std::uint64_t& bad) -> task<void> {
      while (const auto m = co_await from.recv())
        if (!matches(m->bytes(), count++)) ++bad;
    };
    const auto both = [&](channel ch, int side) -> task<void> {
      auto [to, from] = std::move(ch).split();
      co_await when_all(send_all(std::move(to)),
                        receive_all(std::move(from), received[side], wrong[side]));
    };
    on_two_loops([&](loop&, channel ch) -> task<void> { co_await both(std::move(ch), 0); },
                 [&](loop&, channel ch) -> task<void> { co_await both(std::move(ch), 1); },
                 with(spin));
    for (const int side : {0, 1}) {
      CHECK(received[side] == messages);
      CHECK(wrong[side] == 0);
    }
  }
}

}  // TEST_SUITE("channel_threads")
