// SPDX-License-Identifier: BSL-1.0
// The frames of the handshake, and how they are read. handshake_terms_test.cpp has what both sides
// agree upon.
#include <ringbell/channel/detail/handshake.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "support/handshake_frames.hpp"

TEST_SUITE("handshake") {

using namespace ringbell;
using namespace ringbell::handshake;
using namespace ringbell::test::handshake_frames;
using sys::bell_kind;

namespace {

std::vector<frame> one_of_each() {
  std::vector<frame> frames{some_hello(), some_welcome()};
  for (const auto reason :
       {errc::refused_version, errc::refused_unauthorized, errc::refused_too_many,
        errc::refused_ring_size, errc::refused_bell, errc::refused_stopping,
        errc::refused_malformed, errc::refused_too_many_of_user, errc::refused_no_resources,
        errc::refused_kind})
    frames.push_back(refused{reason, 4096, ~std::uint64_t{0}});
  return frames;
}

// What becomes of `bytes` when they arrive in pieces of the given sizes and then one piece with the
// rest.
result<frame> deliver(std::span<const std::byte> bytes,
                      std::initializer_list<std::size_t> pieces = {}) {
  frame_reader reader;
  result<frame> got = errc::would_block;
  const auto feed = [&](std::size_t size) {
    auto piece = bytes.first(size);
    bytes = bytes.subspan(size);
    while (!piece.empty() && got.error() == errc::would_block) {
      const auto room = reader.want();
      const auto n = std::min(room.size(), piece.size());
      std::memcpy(room.data(), piece.data(), n);
      piece = piece.subspan(n);
      got = reader.received(n);
    }
  };
  for (const auto size : pieces) feed(size);
  feed(bytes.size());
  return got;
}

std::vector<std::byte> bytes_of(const frame& f) {
  const auto encoded = encode(f);
  return {encoded.bytes().begin(), encoded.bytes().end()};
}

template <class T>
result<frame> with_field(const frame& f, std::size_t offset, T value) {
  auto bytes = bytes_of(f);
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bytes.at(offset + i) = static_cast<std::byte>(value >> (8 * i));
  return deliver(bytes);
}

std::string hex(const frame& f) {
  std::string into;
  static constexpr char digits[] = "0123456789abcdef";
  for (const auto byte : bytes_of(f)) {
    into += digits[std::to_integer<unsigned>(byte) >> 4];
    into += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return into;
}

}  // namespace

TEST_CASE("every frame decodes to what was encoded") {
  for (const auto& f : one_of_each()) {
    const auto got = deliver(bytes_of(f));
    REQUIRE(got);
    CHECK(*got == f);
  }
}

TEST_CASE("the bytes of a HELLO are those of the specification") {
  hello h;
  h.version_min = 0x0102;
  h.version_max = 0x0304;
  h.can_wait_on = 0x05060708;
  h.can_ring = 0x090a0b0c;
  h.ring_bytes = 0x1112131415161718;
  h.wanted_ring_bytes = 0x2122232425262728;
  h.max_message = 0x3132333435363738;
  CHECK(hex(h) == "5242423101003000"
                  "0201040300000000"
                  "080706050c0b0a09"
                  "1817161514131211"
                  "2827262524232221"
                  "3837363534333231");
}

TEST_CASE("the bytes of a WELCOME are those of the specification") {
  welcome w = some_welcome();
  w.ring_bytes = 0x1112131415161718;
  CHECK(hex(w) == "5242423102002000"
                  "0100020000000000"
                  "1817161514131211"
                  "0807060504030201");
}

TEST_CASE("the bytes of a REFUSED are those of the specification") {
  const refused r{errc::refused_ring_size, 0x1112131415161718, 0x2122232425262728};
  CHECK(hex(r) == "5242423103002000"
                  "0400000000000000"
                  "1817161514131211"
                  "2827262524232221");
}

TEST_CASE("each reason has the code of the specification") {
  const std::pair<errc, unsigned> codes[] = {
      {errc::refused_version, 1},      {errc::refused_unauthorized, 2},
      {errc::refused_too_many, 3},     {errc::refused_ring_size, 4},
      {errc::refused_bell, 5},         {errc::refused_stopping, 6},
      {errc::refused_malformed, 7},    {errc::refused_too_many_of_user, 8},
      {errc::refused_no_resources, 9}, {errc::refused_kind, 10},
  };
  for (const auto& [reason, code] : codes) {
    const auto bytes = bytes_of(refused{reason, 0, 0});
    CHECK(std::to_integer<unsigned>(bytes[8]) == code);
    CHECK(std::to_integer<unsigned>(bytes[9]) == 0);
  }
}

TEST_CASE("a refusal for a reason that the wire does not know is sent as malformed") {
  const auto got = deliver(bytes_of(refused{errc::timed_out, 1, 2}));
  REQUIRE(got);
  CHECK(*got == frame{refused{errc::refused_malformed, 1, 2}});
}

TEST_CASE("a frame may arrive byte by byte") {
  for (const auto& f : one_of_each()) {
    const auto bytes = bytes_of(f);
    frame_reader reader;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      REQUIRE(!reader.want().empty());
      reader.want()[0] = bytes[i];
      const auto got = reader.received(1);
      if (i + 1 < bytes.size()) {
        REQUIRE(got.error() == errc::would_block);
      } else {
        REQUIRE(got);
        CHECK(*got == f);
      }
    }
  }
}

TEST_CASE("a frame may be split at any two points") {
  for (const auto& f : one_of_each()) {
    const auto bytes = bytes_of(f);
    for (std::size_t first = 0; first <= bytes.size(); ++first)
      for (std::size_t second = 0; first + second <= bytes.size(); ++second) {
        const auto got = deliver(bytes, {first, second});
        REQUIRE(got);
        REQUIRE(*got == f);
      }
  }
}

TEST_CASE("a reader asks for not one byte beyond the frame") {
  for (const auto& f : one_of_each()) {
    const auto bytes = bytes_of(f);
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
      frame_reader reader;
      std::size_t have = 0;
      while (have < bytes.size()) {
        const auto room = reader.want();
        REQUIRE(!room.empty());
        REQUIRE(have + room.size() <= bytes.size());
        const auto n = std::min(step, room.size());
        std::memcpy(room.data(), bytes.data() + have, n);
        have += n;
        REQUIRE(reader.received(n).has_value() == (have == bytes.size()));
      }
      CHECK(reader.want().empty());
    }
  }
}

TEST_CASE("a reader that has received nothing new still would block") {
  frame_reader reader;
  CHECK(reader.received(0).error() == errc::would_block);
  CHECK(reader.want().size() == header_size);
}

TEST_CASE("every corruption of one byte gives a frame that encodes to those bytes, or bad_peer") {
  for (const auto& f : one_of_each()) {
    const auto bytes = bytes_of(f);
    for (std::size_t at = 0; at < bytes.size(); ++at)
      for (unsigned value = 0; value < 256; ++value) {
        auto corrupt = bytes;
        corrupt[at] = static_cast<std::byte>(value);
        const auto got = deliver(corrupt);
        if (got)
          REQUIRE(bytes_of(*got) == corrupt);
        else
          REQUIRE((got.error() == errc::bad_peer && corrupt != bytes));
      }
  }
}

TEST_CASE("every frame cut short would block") {
  for (const auto& f : one_of_each()) {
    const auto bytes = bytes_of(f);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      REQUIRE(deliver(std::span{bytes}.first(size)).error() == errc::would_block);
  }
}

TEST_CASE("a wrong magic, type or size is bad_peer as soon as the header is there") {
  for (const auto& f : one_of_each()) {
    const auto size = static_cast<std::uint16_t>(bytes_of(f).size());
    CHECK(with_field(f, 0, magic + 1).error() == errc::bad_peer);
    for (const std::uint16_t type : {0, 4, 0x101, 0xffff})
      CHECK(with_field(f, 4, type).error() == errc::bad_peer);
    for (const int wrong : {0, 8, size - 1, size + 1, 64, 0xffff})
      CHECK(with_field(f, 6, static_cast<std::uint16_t>(wrong)).error() == errc::bad_peer);

    auto bytes = bytes_of(f);
    bytes[7] = std::byte{0xff};
    CHECK(deliver(std::span{bytes}.first(header_size)).error() == errc::bad_peer);
  }
}

TEST_CASE("the size of one type is not accepted for another") {
  CHECK(with_field(some_hello(), 4, std::uint16_t{2}).error() == errc::bad_peer);
  CHECK(with_field(some_welcome(), 4, std::uint16_t{1}).error() == errc::bad_peer);
}

TEST_CASE("a reserved byte that is not zero is bad_peer") {
  for (std::size_t at = 13; at < 16; ++at)
    CHECK(with_field(some_hello(), at, std::uint8_t{1}).error() == errc::bad_peer);
  for (std::size_t at = 12; at < 16; ++at)
    CHECK(with_field(some_welcome(), at, std::uint8_t{0x80}).error() == errc::bad_peer);
  for (std::size_t at = 10; at < 16; ++at)
    CHECK(with_field(refused{}, at, std::uint8_t{1}).error() == errc::bad_peer);
}

TEST_CASE("a bell that does not exist is bad_peer in a WELCOME") {
  for (const std::size_t at : {10, 11})
    for (unsigned kind = 0; kind < 256; ++kind)
      CHECK(with_field(some_welcome(), at, static_cast<std::uint8_t>(kind)).has_value() ==
            (kind <= 2));
}

TEST_CASE("a reason that does not exist is bad_peer in a REFUSED") {
  for (unsigned reason = 0; reason <= 0xffff; ++reason)
    REQUIRE(with_field(refused{}, 8, static_cast<std::uint16_t>(reason)).has_value() ==
            (reason >= 1 && reason <= 10));
}

TEST_CASE("a reader that is sent no shorter frame wants all of it at once") {
  frame_reader of_answers(answer_size);
  CHECK(of_answers.want().size() == answer_size);
  const encoded_frame no = encode(refused{errc::refused_stopping, 1, 2});
  std::memcpy(of_answers.want().data(), no.bytes().data(), 5);
  CHECK(of_answers.received(5).error() == errc::would_block);
  CHECK(of_answers.want().size() == answer_size - 5);
  std::memcpy(of_answers.want().data(), no.bytes().data() + 5, answer_size - 5);
  CHECK(std::get<refused>(of_answers.received(answer_size - 5).value()) ==
        refused{errc::refused_stopping, 1, 2});
  CHECK(of_answers.want().empty());

  // A longer one has its end to come; a shorter one is none.
  const encoded_frame greeting = encode(hello{});
  frame_reader longer(answer_size);
  std::memcpy(longer.want().data(), greeting.bytes().data(), answer_size);
  CHECK(longer.received(answer_size).error() == errc::would_block);
  CHECK(longer.want().size() == max_frame - answer_size);
  frame_reader of_greetings(max_frame);
  std::memcpy(of_greetings.want().data(), no.bytes().data(), answer_size);
  CHECK(of_greetings.received(answer_size).has_value());
  frame_reader too_much(max_frame);
  std::memcpy(too_much.want().data(), no.bytes().data(), answer_size);
  CHECK(too_much.received(answer_size + 1).error() == errc::bad_peer);
  CHECK(too_much.want().empty());
  CHECK(too_much.received(0).error() == errc::bad_peer);
}

TEST_CASE("a reader stays broken after bad_peer and wants no more") {
  frame_reader reader;
  std::memset(reader.want().data(), 0xff, header_size);
  CHECK(reader.received(header_size).error() == errc::bad_peer);
  CHECK(reader.want().empty());
  CHECK(reader.received(0).error() == errc::bad_peer);
}

TEST_CASE("a HELLO brings a region, and an eventfd when it offers to wait on one") {
  auto greeting = some_hello();
  for (const bell_set others : {bell_set{0}, socket_byte | futex, ~all_bells}) {
    greeting.can_wait_on = others;
    CHECK(expected_handles(greeting) == 1);
    greeting.can_wait_on = others | eventfd;
    CHECK(expected_handles(greeting) == 2);
  }
}

TEST_CASE("a WELCOME brings a region, and an eventfd when that is what wakes the server") {
  auto w = some_welcome();
  for (const auto kind : {bell_kind::eventfd, bell_kind::socket, bell_kind::futex}) {
    w.wakes_server = kind;
    CHECK(expected_handles(w) == (kind == bell_kind::eventfd ? 2 : 1));
  }
}

}  // TEST_SUITE("handshake")
