// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/detail/handshake.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

TEST_SUITE("handshake") {

using namespace ringbell;
using namespace ringbell::handshake;
using sys::bell_bit;
using sys::bell_kind;
using sys::bell_set;

namespace {

constexpr bell_set eventfd = bell_bit(bell_kind::eventfd);
constexpr bell_set socket_byte = bell_bit(bell_kind::socket);
constexpr bell_set futex = bell_bit(bell_kind::futex);
constexpr bell_set all_bells = eventfd | socket_byte | futex;

hello some_hello() {
  hello h;
  h.can_wait_on = all_bells;
  h.can_ring = all_bells;
  h.ring_bytes = 64 << 10;
  h.wanted_ring_bytes = 128 << 10;
  h.max_message = 1 << 20;
  return h;
}

server_terms some_terms() {
  server_terms terms;
  terms.can_wait_on = all_bells;
  terms.can_ring = all_bells;
  return terms;
}

welcome some_welcome() {
  welcome w;
  w.wakes_client = bell_kind::futex;
  w.wakes_server = bell_kind::eventfd;
  w.ring_bytes = 8192;
  w.max_message = 0x0102030405060708;
  return w;
}

std::vector<frame> one_of_each() {
  std::vector<frame> frames{some_hello(), some_welcome()};
  for (const auto reason :
       {errc::refused_version, errc::refused_unauthorized, errc::refused_too_many,
        errc::refused_ring_size, errc::refused_bell, errc::refused_stopping,
        errc::refused_malformed, errc::refused_too_many_of_user, errc::refused_no_resources})
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

refused refusal(const hello& greeting, const server_terms& terms) {
  const auto reply = answer(greeting, terms);
  REQUIRE(std::holds_alternative<refused>(reply));
  return std::get<refused>(reply);
}

welcome accepted(const hello& greeting, const server_terms& terms) {
  const auto reply = answer(greeting, terms);
  REQUIRE(std::holds_alternative<welcome>(reply));
  return std::get<welcome>(reply);
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
      {errc::refused_no_resources, 9},
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
  for (std::size_t at = 12; at < 16; ++at) {
    CHECK(with_field(some_hello(), at, std::uint8_t{1}).error() == errc::bad_peer);
    CHECK(with_field(some_welcome(), at, std::uint8_t{0x80}).error() == errc::bad_peer);
  }
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
            (reason >= 1 && reason <= 9));
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

TEST_CASE("a server picks the highest version that both know") {
  auto greeting = some_hello();
  for (const std::uint16_t newest : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{0xffff}})
    for (const std::uint16_t oldest : {std::uint16_t{0}, std::uint16_t{1}}) {
      greeting.version_min = oldest;
      greeting.version_max = newest;
      CHECK(accepted(greeting, some_terms()).version == protocol_version);
    }
}

TEST_CASE("a client that is too new or too old is told the versions that the server knows") {
  auto greeting = some_hello();
  for (const std::uint16_t only : {0, 2, 0xffff}) {
    greeting.version_min = greeting.version_max = only;
    CHECK(refusal(greeting, some_terms()) ==
          refused{errc::refused_version, oldest_version, protocol_version});
  }
}

TEST_CASE("a version range that is upside down is malformed") {
  auto greeting = some_hello();
  greeting.version_min = 2;
  greeting.version_max = 1;
  CHECK(refusal(greeting, some_terms()).reason == errc::refused_malformed);
}

TEST_CASE("a ring size is a power of two from 4 KiB to 1 GiB") {
  for (unsigned shift = 0; shift < 64; ++shift) {
    const auto size = std::uint64_t{1} << shift;
    CHECK(valid_ring_size(size) == (shift >= 12 && shift <= 30));
    if (shift > 1) CHECK_FALSE(valid_ring_size(size + 1));
    if (shift > 1) CHECK_FALSE(valid_ring_size(size - 1));
  }
  CHECK_FALSE(valid_ring_size(0));
  CHECK_FALSE(valid_ring_size(~std::uint64_t{0}));
}

TEST_CASE("a client's ring that is impossible or outside the terms is refused with the limits") {
  auto terms = some_terms();
  terms.min_ring_bytes = 8192;
  terms.max_ring_bytes = 1 << 20;
  auto greeting = some_hello();
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{12288}, std::uint64_t{2} << 20,
        std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    greeting.ring_bytes = size;
    CHECK(refusal(greeting, terms) == refused{errc::refused_ring_size, 8192, 1 << 20});
  }
  for (const std::uint64_t size : {8192, 65536, 1 << 20}) {
    greeting.ring_bytes = size;
    CHECK(std::holds_alternative<welcome>(answer(greeting, terms)));
  }
}

TEST_CASE("the server's ring is the client's wish kept within the terms") {
  auto terms = some_terms();
  terms.min_ring_bytes = 8192;
  terms.max_ring_bytes = 1 << 20;
  auto greeting = some_hello();
  struct {
    std::uint64_t wanted, given;
  } const table[] = {
      {0, terms.default_ring_bytes},
      {1, 8192},
      {4096, 8192},
      {8192, 8192},
      {1 << 17, 1 << 17},
      {1 << 20, 1 << 20},
      {1 << 30, 1 << 20},
      {std::uint64_t{1} << 63, 1 << 20},
  };
  for (const auto& row : table) {
    greeting.wanted_ring_bytes = row.wanted;
    CHECK(accepted(greeting, terms).ring_bytes == row.given);
  }
}

TEST_CASE("a wish that is no power of two is refused with the limits") {
  const auto terms = some_terms();
  auto greeting = some_hello();
  for (const std::uint64_t wanted :
       {std::uint64_t{3}, std::uint64_t{12288}, std::uint64_t{65537}, ~std::uint64_t{0}}) {
    greeting.wanted_ring_bytes = wanted;
    CHECK(refusal(greeting, terms) ==
          refused{errc::refused_ring_size, terms.min_ring_bytes, terms.max_ring_bytes});
  }
}

TEST_CASE("a WELCOME says how long a message the server receives") {
  auto terms = some_terms();
  terms.max_message = 12345;
  CHECK(accepted(some_hello(), terms).max_message == 12345);
}

TEST_CASE("the bell of each direction is the best one that both sides and their users allow") {
  // By the set that both know, bit 0 eventfd, bit 1 socket, bit 2 futex.
  using chosen = std::optional<bell_kind>;
  const chosen none, e = bell_kind::eventfd, s = bell_kind::socket, f = bell_kind::futex;
  const chosen with_same_user[8] = {none, e, s, e, f, e, s, e};
  const chosen with_another_user[8] = {none, none, s, s, f, f, s, s};

  for (const bool same_user : {true, false})
    for (unsigned sets = 0; sets < 8 * 8 * 8 * 8; ++sets) {
      auto greeting = some_hello();
      auto terms = some_terms();
      terms.same_user = same_user;
      greeting.can_wait_on = sets & 7;
      greeting.can_ring = (sets >> 3) & 7;
      terms.can_wait_on = (sets >> 6) & 7;
      terms.can_ring = sets >> 9;

      const auto& table =
          same_user || sys::event_is_safe_between_users ? with_same_user : with_another_user;
      const chosen wakes_client = table[greeting.can_wait_on & terms.can_ring];
      const chosen wakes_server = table[terms.can_wait_on & greeting.can_ring];
      const auto reply = answer(greeting, terms);
      if (wakes_client && wakes_server) {
        REQUIRE(std::holds_alternative<welcome>(reply));
        REQUIRE(std::get<welcome>(reply).wakes_client == *wakes_client);
        REQUIRE(std::get<welcome>(reply).wakes_server == *wakes_server);
        REQUIRE(!check(std::get<welcome>(reply), greeting));
      } else {
        REQUIRE(reply == std::variant<welcome, refused>{refused{errc::refused_bell, 0, 0}});
      }
    }
}

TEST_CASE("kinds of bell that are not known yet are ignored") {
  auto greeting = some_hello();
  auto terms = some_terms();
  greeting.can_wait_on = greeting.can_ring = ~bell_set{0} & ~eventfd;
  terms.can_wait_on = terms.can_ring = ~bell_set{0};
  CHECK(accepted(greeting, terms).wakes_client == bell_kind::socket);
  CHECK(accepted(greeting, terms).wakes_server == bell_kind::socket);

  greeting.can_wait_on = ~all_bells;
  CHECK(refusal(greeting, terms).reason == errc::refused_bell);
}

TEST_CASE(
    "between different users everything is usable but events that are not safe between them") {
  const bell_set unsafe = sys::event_is_safe_between_users ? 0 : eventfd;
  CHECK(usable_between(all_bells, true) == all_bells);
  CHECK(usable_between(all_bells, false) == (all_bells & ~unsafe));
  CHECK(usable_between(eventfd, false) == (eventfd & ~unsafe));
}

TEST_CASE("a client accepts the answer of an honest server") {
  CHECK_FALSE(check(accepted(some_hello(), some_terms()), some_hello()));
}

TEST_CASE("a client rejects a version that it did not offer") {
  auto w = accepted(some_hello(), some_terms());
  for (const std::uint16_t version : {0, 2, 0xffff}) {
    w.version = version;
    CHECK(check(w, some_hello()) == errc::bad_peer);
  }
}

TEST_CASE("a client rejects bells that it did not offer") {
  const auto w = some_welcome();
  auto asked = some_hello();
  CHECK_FALSE(check(w, asked));
  asked.can_wait_on = all_bells & ~futex;
  CHECK(check(w, asked) == errc::bad_peer);
  asked = some_hello();
  asked.can_ring = all_bells & ~eventfd;
  CHECK(check(w, asked) == errc::bad_peer);
}

TEST_CASE("a client rejects a bell that does not exist, even one that it offered by accident") {
  auto asked = some_hello();
  asked.can_wait_on = asked.can_ring = ~bell_set{0};
  for (const unsigned kind : {3u, 31u, 32u, 255u}) {
    auto w = some_welcome();
    w.wakes_client = static_cast<bell_kind>(kind);
    CHECK(check(w, asked) == errc::bad_peer);
    w = some_welcome();
    w.wakes_server = static_cast<bell_kind>(kind);
    CHECK(check(w, asked) == errc::bad_peer);
  }
}

TEST_CASE("a client rejects a ring that cannot be") {
  auto w = some_welcome();
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{2048}, std::uint64_t{5000},
                                   std::uint64_t{1} << 31, ~std::uint64_t{0}}) {
    w.ring_bytes = size;
    CHECK(check(w, some_hello()) == errc::bad_peer);
  }
}

TEST_CASE("terms are good when their ring sizes are possible and in order") {
  CHECK_FALSE(check(server_terms{}));
  for (const auto member : {&server_terms::min_ring_bytes, &server_terms::default_ring_bytes,
                            &server_terms::max_ring_bytes})
    for (const std::uint64_t size :
         {std::uint64_t{0}, std::uint64_t{5000}, std::uint64_t{1} << 31}) {
      server_terms terms;
      terms.*member = size;
      CHECK(check(terms) == errc::bad_ring_size);
    }
  server_terms terms;
  terms.default_ring_bytes = terms.max_ring_bytes * 2;
  CHECK(check(terms) == errc::bad_ring_size);
  terms = server_terms{};
  terms.min_ring_bytes = terms.default_ring_bytes * 2;
  CHECK(check(terms) == errc::bad_ring_size);
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
