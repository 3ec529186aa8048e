// SPDX-License-Identifier: BSL-1.0
// Calls and replies, between a client and a server on one loop.
#include <ringbell/timeout.hpp>

#include <doctest/doctest.h>

#include <vector>

#include "support/pattern.hpp"
#include "support/service.hpp"

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<reply> echo(request r) { co_return reply(r.bytes()); }

}  // namespace

TEST_CASE("a call gets the reply to its request, of any size") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, echo);
    client c = co_await s.connected();
    std::vector<std::byte> bytes(3 << 20);
    fill(bytes, 1);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{72}, std::size_t{73}, std::size_t{96},
                                   std::size_t{97}, std::size_t{24'000}, std::size_t{25'000}, std::size_t{100'000}, bytes.size()}) {
      CAPTURE(size);
      const payload p = co_await c.call(echo_method, std::span<const std::byte>(bytes).first(size));
      CHECK(p.size() == size);
      CHECK(matches(p.bytes(), 1));
    }
    CHECK(c.calls() == 0);
  });
}

TEST_CASE("replies overtake each other, and each reaches its own call") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      co_await sleep_for(std::chrono::milliseconds(r.as<int>()));
      co_return reply::of(r.as<int>() + 1000);
    });
    client c = co_await s.connected();
    std::vector<int> order;
    scope calls(lp);
    const auto one = [&](int n) -> task<void> {
      const payload p = co_await c.call_with(7, n);
      CHECK(p.as<int>() == n + 1000);
      order.push_back(n);
    };
    for (const int n : {40, 20, 1}) calls.spawn(one(n));
    co_await calls.join();
    CHECK(order == std::vector<int>{1, 20, 40});
  });
}

TEST_CASE("a handler sees method, metadata, bytes and peer; the client sees the reply's metadata") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      CHECK(r.method() == 42);
      CHECK(r.metadata() == "trace=1");
      CHECK(r.text() == "question");
      CHECK(r.peer().process == static_cast<std::int64_t>(sys::current_process()));
      CHECK_FALSE(r.deadline());
      co_return reply("answer").with_metadata("trace=2");
    });
    client c = co_await s.connected();
    call_options options;
    options.metadata = "trace=1";
    const payload p = co_await c.call(42, "question", options);
    CHECK(p.text() == "answer");
    CHECK(p.metadata() == "trace=2");
  });
}

TEST_CASE("metadata longer than a record of the ring comes without bytes, too") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> { co_return reply().with_metadata(r.metadata()); });
    client_options small;
    small.connection.ring_bytes = small.connection.peer_ring_bytes = 4096;
    client c = co_await s.connected(small);
    const std::string metadata(4096, 'm');
    call_options options;
    options.metadata = metadata;
    const payload p = co_await c.call(1, std::string_view(), options);
    CHECK(p.empty());
    CHECK(p.metadata() == metadata);
  });
}
