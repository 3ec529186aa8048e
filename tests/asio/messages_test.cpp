// SPDX-License-Identifier: BSL-1.0
// Messages of every size and shape, and those that are too long.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_operations.hpp"
#include "support/pattern.hpp"

TEST_SUITE("asio messages") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

// Rings of 4 KiB; the last one is longer than what is taken in at one go.
std::vector<std::size_t> all_sizes(const asio_channel& ch) {
  const std::size_t limit = ch.max_claim();
  return {0,         1,     7,         8,         9,    95,   96,     97,     1000,
          limit - 1, limit, limit + 1, 2 * limit, 4096, 4097, 20'000, 3 << 20};
}

/// Cuts `bytes` into that many pieces, some of them empty.
std::vector<net::const_buffer> in_pieces(const std::vector<std::byte>& bytes, std::size_t count) {
  std::vector<net::const_buffer> pieces;
  net::const_buffer rest = net::buffer(bytes);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = i + 1 == count ? rest.size()
                             : i % 3 == 1   ? 0
                                            : rest.size() / (count - i);
    pieces.push_back(net::buffer(rest, size));
    rest += size;
  }
  return pieces;
}

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

// -- sizes and shapes --

TEST_CASE("messages of every size arrive as they were sent") {
  bench b;
  const auto sizes = all_sizes(*b.near);
  const auto send = [&]() -> net::awaitable<void> {
    for (const std::size_t size : sizes) {
      const auto bytes = patterned(size, size);
      co_await b.near->async_send(net::buffer(bytes), net::use_awaitable);
    }
  };
  std::size_t received = 0;
  const auto receive = [&]() -> net::awaitable<void> {
    for (const std::size_t size : sizes) {
      CAPTURE(size);
      const message m = co_await b.far->async_recv(net::use_awaitable);
      CHECK(m.size() == size);
      CHECK(matches(m.bytes(), size));
      ++received;
    }
  };
  net::co_spawn(b.context, send, rethrow);
  net::co_spawn(b.context, receive, rethrow);
  run_out(b.context);
  CHECK(received == sizes.size());
}

TEST_CASE("messages of every size are copied into a buffer") {
  bench b;
  const auto sizes = all_sizes(*b.near);
  const auto send = [&]() -> net::awaitable<void> {
    for (const std::size_t size : sizes) {
      const auto bytes = patterned(size, size);
      co_await b.near->async_send(net::buffer(bytes), net::use_awaitable);
    }
  };
  std::size_t received = 0;
  const auto receive = [&]() -> net::awaitable<void> {
    for (const std::size_t size : sizes) {
      CAPTURE(size);
      std::vector<std::byte> buffer(size);  // it fits exactly
      CHECK(co_await b.far->async_recv_into(net::buffer(buffer), net::use_awaitable) == size);
      CHECK(matches(buffer, size));
      ++received;
    }
  };
  net::co_spawn(b.context, send, rethrow);
  net::co_spawn(b.context, receive, rethrow);
  run_out(b.context);
  CHECK(received == sizes.size());
}

TEST_CASE("the pieces of a buffer sequence arrive as one message, however many they are") {
  for (const std::size_t size : {std::size_t{300}, std::size_t{10'000}}) {
    for (const std::size_t count : {1U, 2U, 15U, 16U, 17U, 40U}) {
      CAPTURE(size);
      CAPTURE(count);
      bench b;
      const auto bytes = patterned(size, count);
      const auto pieces = in_pieces(bytes, count);
      REQUIRE(net::buffer_size(pieces) == size);
      int sent = 0;
      b.near->async_send(pieces, well(sent));
      completion<recv_operation> c;
      b.far->async_recv(c.handler());
      run_out(b.context);
      CHECK(sent == 1);
      REQUIRE(c.ended_with({}));
      CHECK(c.value->size() == size);
      CHECK(matches(c.value->bytes(), count));
    }
  }
}

TEST_CASE("a buffer sequence may be of any type that Asio takes for one") {
  bench b;
  std::string text = "hello";
  const net::const_buffer one(text.data(), 5);
  const net::mutable_buffer changeable(text.data(), 5);
  const std::array<net::mutable_buffer, 2> two{net::mutable_buffer(text.data(), 2),
                                               net::mutable_buffer(text.data() + 2, 3)};
  const std::list<net::const_buffer> linked{net::const_buffer(text.data(), 1),
                                            net::const_buffer(text.data() + 1, 4)};
  net::streambuf stream;
  net::buffer_copy(stream.prepare(5), one);
  stream.commit(5);
  int sent = 0;
  const auto send = [&](const auto& buffers) {
    b.near->async_send(buffers, well(sent));
    run_out(b.context);
    CHECK(text_of(*b.far) == "hello");
    CHECK_FALSE(b.near->try_send(buffers));
    CHECK(text_of(*b.far) == "hello");
  };
  send(one);
  send(changeable);
  send(two);
  send(linked);
  send(stream.data());
  send(net::buffer(text));
  CHECK(sent == 6);
}

TEST_CASE("a sequence without buffers is a message without bytes") {
  bench b;
  const std::vector<net::const_buffer> none;
  int sent = 0;
  b.near->async_send(none, well(sent));
  run_out(b.context);
  CHECK(sent == 1);
  CHECK_FALSE(b.near->try_send(none));
  completion<recv_operation> c;
  for (int i = 0; i < 2; ++i) {
    c = {};
    b.far->async_recv(c.handler());
    run_out(b.context);
    CHECK(c.ended_with({}));
    CHECK(c.value->empty());
  }
}

TEST_CASE("the sequence need not outlive the initiating function, only the memory") {
  bench b;
  const auto bytes = patterned(20'000, 3);
  int sent = 0;
  {
    auto pieces = in_pieces(bytes, 20);
    b.near->async_send(pieces, well(sent));
    std::ranges::fill(pieces, net::const_buffer());
  }
  completion<recv_operation> c;
  b.far->async_recv(c.handler());
  run_out(b.context);
  CHECK(sent == 1);
  CHECK(matches(c.value->bytes(), 3));
}

TEST_CASE("messages without bytes are messages") {
  bench b;
  const int count = 1000;  // several times what the ring holds
  int sent = 0, received = 0;
  std::vector<std::byte> buffer(1);
  const auto send = [&]() -> net::awaitable<void> {
    for (; sent < count; ++sent) {
      if (sent % 2 == 0) {
        co_await b.near->async_send(net::const_buffer(), net::use_awaitable);
      } else {
        claim c = co_await b.near->async_claim(0, net::use_awaitable);
        CHECK(c);
        CHECK(c.bytes().empty());
        c.commit();
      }
    }
  };
  const auto receive = [&]() -> net::awaitable<void> {
    for (; received < count; ++received) {
      if (received % 3 == 0) {
        CHECK(co_await b.far->async_recv_into(net::mutable_buffer(), net::use_awaitable) == 0);
      } else if (received % 3 == 1) {
        CHECK(co_await b.far->async_recv_into(net::buffer(buffer), net::use_awaitable) == 0);
      } else {
        const message m = co_await b.far->async_recv(net::use_awaitable);
        CHECK(m.empty());
      }
    }
  };
  net::co_spawn(b.context, send, rethrow);
  net::co_spawn(b.context, receive, rethrow);
  run_out(b.context);
  CHECK(sent == count);
  CHECK(received == count);
}

TEST_CASE("messages of several times the ring cross each other") {
  bench b;
  const int count = 20;
  const auto send = [&](asio_channel& ch) -> net::awaitable<void> {
    for (int i = 0; i < count; ++i) {
      const auto size = static_cast<std::size_t>(pick(static_cast<std::uint64_t>(i), 60'000));
      const auto bytes = patterned(size, size);
      co_await ch.async_send(net::buffer(bytes), net::use_awaitable);
    }
  };
  int received = 0;
  const auto receive = [&](asio_channel& ch) -> net::awaitable<void> {
    for (int i = 0; i < count; ++i, ++received) {
      const auto size = static_cast<std::size_t>(pick(static_cast<std::uint64_t>(i), 60'000));
      const message m = co_await ch.async_recv(net::use_awaitable);
      CHECK(m.size() == size);
      CHECK(matches(m.bytes(), size));
    }
  };
  for (asio_channel* const ch : {b.near.get(), b.far.get()}) {
    net::co_spawn(b.context, send(*ch), rethrow);
    net::co_spawn(b.context, receive(*ch), rethrow);
  }
  run_out(b.context);
  CHECK(received == 2 * count);
}

// -- limits --

TEST_CASE("a message that does not fit the buffer stays where it is") {
  for (const std::size_t size : {std::size_t{100}, std::size_t{20'000}}) {
    CAPTURE(size);
    bench b;
    const auto bytes = patterned(size, size);
    int sent = 0;
    b.near->async_send(net::buffer(bytes), well(sent));
    completion<recv_into_operation> c;
    for (const std::size_t room : {std::size_t{0}, std::size_t{1}, size - 1}) {
      c = {};
      std::vector<std::byte> small(room, std::byte{0xee});
      b.far->async_recv_into(net::buffer(small), c.handler());
      run_out(b.context);
      CHECK(c.ended_with(net::error::message_size));
      CHECK(*c.value == 0);
      CHECK(std::ranges::count(small, std::byte{0xee}) == static_cast<std::ptrdiff_t>(room));
    }
    c = {};
    std::vector<std::byte> large(size + 1);
    b.far->async_recv_into(net::buffer(large), c.handler());
    run_out(b.context);
    CHECK(c.ended_with({}));
    CHECK(*c.value == size);
    CHECK(matches(std::span(large).first(size), size));
    CHECK(sent == 1);
  }
}

TEST_CASE("a message longer than the peer takes is refused at the sender, and the next one goes") {
  net::io_context context;
  listener_options of_server;
  of_server.max_message = 1000;
  asio_pair pair = connected(context, of_server);
  CHECK(pair.client.max_message() == 1000);
  CHECK(pair.client.max_claim() == 1000);
  CHECK(pair.server.max_message() == connect_options().max_message);
  const auto bytes = patterned(1001, 0);
  int refused = 0;
  const auto count = [&](const net_error_code& error, auto&&...) {
    refused += error == net::error::message_size;
  };
  pair.client.async_send(net::buffer(bytes), count);
  run_out(context);
  pair.client.async_claim(1001, count);
  run_out(context);
  CHECK(pair.client.try_send(net::buffer(bytes)) == net::error::message_size);
  net_error_code error;
  CHECK_FALSE(pair.client.try_claim(1001, error));
  CHECK(error == net::error::message_size);
  CHECK(refused == 2);
  CHECK_FALSE(pair.client.try_send(net::buffer(bytes, 1000)));
  CHECK(pair.server.try_recv(error).size() == 1000);
}

TEST_CASE("what does not go in one piece cannot be claimed, nor sent now or not at all") {
  bench b;
  const std::size_t limit = b.near->max_claim();
  CHECK(limit > 1000);
  CHECK(limit < 4096);
  const auto bytes = patterned(limit + 1, 0);
  net_error_code error;
  CHECK(b.near->try_send(net::buffer(bytes)) == net::error::message_size);
  CHECK_FALSE(b.near->try_claim(limit + 1, error));
  CHECK(error == net::error::message_size);
  completion<claim_operation> c;
  b.near->async_claim(limit + 1, c.handler());
  run_out(b.context);
  CHECK(c.ended_with(net::error::message_size));
  CHECK_FALSE(b.near->try_send(net::buffer(bytes, limit)));
  CHECK(b.near->try_claim(limit, error));
}

}  // TEST_SUITE("asio messages")
