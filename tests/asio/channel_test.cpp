// SPDX-License-Identifier: BSL-1.0
// A channel beside its messages' sizes: claims, leases, attempts, waits, and what is known of it.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_operations.hpp"
#include "support/pattern.hpp"

TEST_SUITE("asio channel") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

/// A handler that expects success, and counts.
auto well(int& calls) {
  return [&calls](const net_error_code& error, auto&&...) {
    CHECK_FALSE(error);
    ++calls;
  };
}

std::string text_of(asio_channel& ch) {
  net_error_code error;
  const message m = ch.try_recv(error);
  return error ? error.message() : std::string(m.text());
}

}  // namespace

// -- in place --

TEST_CASE("a claim is written in place, and sent by commit") {
  bench b;
  completion<claim_operation> c;
  b.near->async_claim(100, c.handler());
  run_out(b.context);
  REQUIRE(c.ended_with({}));
  std::memcpy(c.value->bytes().data(), "in place", 8);
  CHECK(text_of(*b.far) == net_error_code(net::error::would_block).message());
  c.value->commit(8);
  CHECK_FALSE(*c.value);
  CHECK(text_of(*b.far) == "in place");
}

TEST_CASE("a claim that is dropped sends nothing and gives its space back") {
  bench b;
  net_error_code error;
  for (int i = 0; i < 100; ++i) {
    completion<claim_operation> c;
    b.near->async_claim(1000, c.handler());
    run_out(b.context);
    REQUIRE(c.ended_with({}));
  }
  CHECK_FALSE(b.near->try_send(net::buffer("the only one", 12)));
  CHECK(text_of(*b.far) == "the only one");
  CHECK(b.far->statistics().messages_received == 1);
}

TEST_CASE("messages may be held, and released in any order") {
  bench b;
  std::vector<message> held;
  net_error_code error;
  for (std::uint64_t round = 0; round < 20; ++round) {
    for (std::uint64_t i = 0; i < 3; ++i)
      REQUIRE_FALSE(b.near->try_send(net::buffer(patterned(300, round * 3 + i))));
    for (std::uint64_t i = 0; i < 3; ++i) held.push_back(b.far->try_recv(error));
    for (std::uint64_t i = 0; i < 3; ++i) CHECK(matches(held[i].bytes(), round * 3 + i));
    while (!held.empty())
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(pick(round, held.size())));
  }
}

TEST_CASE("a claim outlives its channel") {
  for (const bool before_commit : {false, true}) {
    auto b = std::make_unique<bench>();
    completion<claim_operation> c;
    b->near->async_claim(100, c.handler());
    run_out(b->context);
    REQUIRE(c.ended_with({}));
    b->near.reset();
    std::memset(c.value->bytes().data(), 1, 100);
    if (before_commit) {
      b.reset();
      std::memset(c.value->bytes().data(), 2, 100);
    }
    c.value->commit();
    CHECK_FALSE(*c.value);
    if (b) CHECK(text_of(*b->far) == net_error_code(net::error::eof).message());
  }
}

TEST_CASE("a message outlives its channel, and its context") {
  std::vector<message> held;
  {
    bench b;
    const auto large = patterned(20'000, 1);
    int sent = 0;
    for (const auto& bytes : {large, patterned(100, 2)}) {
      b.near->async_send(net::buffer(bytes), well(sent));
      b.far->async_recv([&held](net_error_code error, message m) {
        CHECK_FALSE(error);
        held.push_back(std::move(m));
      });
      run_out(b.context);
    }
    REQUIRE(held.size() == 2);
    b.far.reset();
    CHECK(matches(held[1].bytes(), 2));
  }
  CHECK(held[0].size() == 20'000);
  CHECK(matches(held[0].bytes(), 1));
  CHECK(held[1].size() == 100);
  CHECK(matches(held[1].bytes(), 2));
  const message moved = std::move(held[1]);
  held.clear();
  CHECK(matches(moved.bytes(), 2));
}

// -- now or not at all --

TEST_CASE("the try functions say would_block instead of waiting") {
  bench b;
  net_error_code error;
  CHECK(b.far->try_recv(error).data() == nullptr);
  CHECK(error == net::error::would_block);
  const std::size_t sent = bench::fill(*b.near, 500);
  CHECK(sent > 3);
  CHECK(b.near->try_send(net::buffer(b.bytes)) == net::error::would_block);
  CHECK_FALSE(b.near->try_claim(500, error));
  CHECK(error == net::error::would_block);
  CHECK(bench::drain(*b.far) == sent);
  CHECK_FALSE(b.near->try_send(net::buffer(b.bytes)));
  CHECK(b.near->try_claim(500, error));
  CHECK_FALSE(error);
}

TEST_CASE("the try functions wake a peer that sleeps") {
  bench b;
  b.near->spin(spin_policy::none);
  completion<recv_operation> received;
  completion<send_operation> sent;
  b.near->async_recv(received.handler());
  bench::fill(*b.near, 500);
  b.near->async_send(net::buffer(b.bytes), sent.handler());
  b.settle();
  CHECK(b.near->statistics().parks >= 2);
  CHECK_FALSE(b.far->try_send(net::buffer("wake up", 7)));
  CHECK(run_until(b.context, [&] { return received.calls == 1; }));
  CHECK(received.value->text() == "wake up");
  CHECK(sent.calls == 0);
  bench::drain(*b.far);
  CHECK(run_until(b.context, [&] { return sent.calls == 1; }));
  CHECK(sent.ended_with({}));
}

// -- waiting alone --

TEST_CASE("a wait for a message leaves the message alone") {
  for (const std::size_t size : {std::size_t{100}, std::size_t{20'000}}) {
    CAPTURE(size);
    bench b;
    completion<wait_recv_operation> c;
    b.near->async_wait(asio_channel::wait_recv, c.handler());
    b.settle();
    CHECK(c.calls == 0);
    int sent = 0;
    const auto bytes = patterned(size, size);
    b.far->async_send(net::buffer(bytes), well(sent));
    run_out(b.context);
    CHECK(c.ended_with({}));
    CHECK(sent == 1);
    c = {};
    b.near->async_wait(asio_channel::wait_recv, c.handler());
    run_out(b.context);
    CHECK(c.ended_with({}));
    net_error_code error;
    CHECK(matches(b.near->try_recv(error).bytes(), size));
    CHECK_FALSE(error);
    CHECK(b.near->statistics().messages_received == 1);
  }
}

TEST_CASE("a wait for space ends when there is some") {
  bench b;
  completion<wait_send_operation> c;
  b.near->async_wait(asio_channel::wait_send, c.handler());
  run_out(b.context);
  CHECK(c.ended_with({}));
  c = {};
  wait_send_operation::block(b);
  b.near->async_wait(asio_channel::wait_send, c.handler());
  b.settle();
  CHECK(c.calls == 0);
  bench::drain(*b.far);
  run_out(b.context);
  CHECK(c.ended_with({}));
  CHECK_FALSE(b.near->try_send(net::buffer(b.bytes)));
}

TEST_CASE("a wait for either ends with whichever comes") {
  for (const bool space_comes : {false, true}) {
    CAPTURE(space_comes);
    bench b;
    completion<wait_recv_operation> c;
    wait_send_operation::block(b);
    b.near->async_wait(asio_channel::wait_recv | asio_channel::wait_send, c.handler());
    b.settle();
    CHECK(c.calls == 0);
    if (space_comes)
      bench::drain(*b.far);
    else
      CHECK_FALSE(b.far->try_send(net::buffer("hello", 5)));
    run_out(b.context);
    CHECK(c.ended_with({}));
    net_error_code error;
    CHECK((b.near->try_recv(error).text() == "hello") == !space_comes);
    CHECK((b.near->try_send(net::buffer(b.bytes)) == net_error_code()) == space_comes);
  }
}

TEST_CASE("a wait ends without an error when there is an error to be had by trying") {
  for (const asio_channel::wait_type what : {asio_channel::wait_recv, asio_channel::wait_send,
                                             asio_channel::wait_recv | asio_channel::wait_send}) {
    for (const bool already : {false, true}) {
      CAPTURE(static_cast<unsigned>(what));
      CAPTURE(already);
      bench b;
      completion<wait_recv_operation> c;
      wait_send_operation::block(b);
      if (already) b.far->close();
      b.near->async_wait(what, c.handler());
      if (!already) {
        b.settle();
        CHECK(c.calls == 0);
        b.far->close();
      }
      run_out(b.context);
      CHECK(c.ended_with({}));
      net_error_code error;
      b.near->try_recv(error);
      CHECK(error == net::error::eof);
      CHECK(b.near->try_send(net::buffer(b.bytes)) == net::error::connection_reset);
    }
  }
}

// -- what is known --

TEST_CASE("the statistics tell what was done") {
  bench b;
  const channel_statistics none = b.near->statistics();
  CHECK(none.messages_sent + none.bytes_sent + none.messages_received + none.bytes_received == 0);
  b.near->spin(spin_policy::none);
  completion<recv_operation> c;
  b.near->async_recv(c.handler());
  b.settle();
  CHECK(b.near->statistics().parks == 1);
  CHECK_FALSE(b.far->try_send(net::buffer("hello", 5)));
  run_out(b.context);
  CHECK_FALSE(b.far->try_send(net::buffer("again", 5)));
  const channel_statistics far = b.far->statistics();
  CHECK(far.messages_sent == 2);
  CHECK(far.bytes_sent == 10);
  CHECK(far.bells_rung == 1);
  CHECK(far.bells_suppressed >= 1);
  bench::drain(*b.near);
  const channel_statistics near = b.near->statistics();
  CHECK(near.messages_received == 2);
  CHECK(near.bytes_received == 10);
  bench::fill(*b.near, 500);
  CHECK(b.near->statistics().ring_full_stalls >= 1);
  const auto large = patterned(20'000, 1);
  int sent = 0;
  bench::drain(*b.far);
  const channel_statistics before = b.near->statistics();
  b.near->async_send(net::buffer(large), well(sent));
  c = {};
  b.far->async_recv(c.handler());
  run_out(b.context);
  CHECK(b.near->statistics().messages_sent == before.messages_sent + 1);
  CHECK(b.near->statistics().bytes_sent == before.bytes_sent + 20'000);
  b.near->close();
  CHECK(b.near->statistics().messages_sent == 0);
}

TEST_CASE("a channel knows who is at its other end") {
  bench b;
  CHECK(b.near->peer().process == ::getpid());
  CHECK(b.far->peer().process == ::getpid());
  b.near->close();
  CHECK(b.near->peer().process == sys::peer_identity().process);
}

}  // TEST_SUITE("asio channel")
