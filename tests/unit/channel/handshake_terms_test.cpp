// SPDX-License-Identifier: BSL-1.0
// What a server answers to a client's greeting, and which answers a client accepts.
#include <ringbell/channel/detail/handshake.hpp>

#include <doctest/doctest.h>

#include <variant>

#include "support/handshake_frames.hpp"

TEST_SUITE("handshake_terms") {

using namespace ringbell;
using namespace ringbell::handshake;
using namespace ringbell::test::handshake_frames;
using sys::bell_bit;
using sys::bell_kind;

namespace {

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

}  // namespace

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

TEST_CASE("a client that wants another kind of record is refused, and told the server's kind") {
  for (const auto kind : {record_kind::messages, record_kind::stream}) {
    server_terms terms = some_terms();
    terms.kind = kind;
    for (const unsigned wanted : {0U, 1U, 2U, 255U}) {
      hello greeting = some_hello();
      greeting.kind = static_cast<record_kind>(wanted);
      const auto reply = answer(greeting, terms);
      if (greeting.kind == kind) {
        CHECK(std::holds_alternative<welcome>(reply));
      } else {
        REQUIRE(std::holds_alternative<refused>(reply));
        CHECK(std::get<refused>(reply).reason == errc::refused_kind);
        CHECK(std::get<refused>(reply).limit_low == static_cast<std::uint64_t>(kind));
      }
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

}  // TEST_SUITE("handshake_terms")
