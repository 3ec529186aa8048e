// SPDX-License-Identifier: BSL-1.0
// What only descriptors of POSIX let a hostile peer do to an Asio side: nothing but to its own
// channel.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/applies.hpp"
#include "support/asio_victims.hpp"
#include "support/bells.hpp"
#include "support/lingering_connection.hpp"

TEST_SUITE("asio hostile_handles") {

using namespace ringbell;
using namespace ringbell::test;

TEST_CASE("a peer that makes the eventfd blocking, reads it empty or fills it, holds nobody up" *
          not_on(bsd | darwin, "there is no eventfd")) {
  const asio_victims v;
  const int before = v.descriptors();
  const int ended_before = v.counts().peer_closed;
  struct trick {
    bool full;
    bool blocking;
  };
  constexpr trick tricks[] = {{false, true}, {true, true}, {true, false},
                              {false, true}, {true, true}, {true, false}};
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
  CHECK(eventually([&] {
    return v.counts().peer_closed == ended_before + static_cast<int>(std::size(tricks));
  }));
  CHECK(eventually([&] { return v.descriptors() <= before; }));
}

TEST_CASE("a peer that shuts down one half, or all, of the control socket is gone") {
  const asio_victims v;
  const int before = v.descriptors();
  int expected = v.counts().peer_closed;
  for (const auto kind : bells_here())
    for (const int how : {SHUT_RD, SHUT_WR, SHUT_RDWR}) {
      CAPTURE(std::string(sys::name_of(kind)));
      CAPTURE(how);
      raw_client attacker(v.path(), kind);
      REQUIRE(attacker.greeted());
      REQUIRE(is_parked(attacker));
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

TEST_CASE(
    "a peer that sends what cannot be closed at once, with its greeting or with bells, keeps no other client waiting" *
    not_on(bsd | darwin, "no process is seen to stand still")) {
  const asio_victims v;
  const int before = v.descriptors();
  const std::byte bell{};
  for (const auto kind : bells_here())
    for (const bool with_greeting : {true, false}) {
      CAPTURE(std::string(sys::name_of(kind)));
      CAPTURE(with_greeting);
      std::optional<raw_peer> attacker;
      if (with_greeting) {
        attacker.emplace(raw_peer::connected_to(v.path()));
      } else {
        raw_client greeted(v.path(), kind);
        REQUIRE(greeted.greeted());
        attacker.emplace(std::move(greeted.socket));
      }
      lingering_connection c;
      {
        const stopped s(v.id());
        const std::vector<sys::native_handle> handles(2, c.near.get());
        const bool sent = with_greeting ? attacker->send(raw_client::greeting(kind), handles)
                                        : attacker->send(std::span(&bell, 1), handles);
        if (!sent) c.calm_down();  // the kernel did not let it in
        c.near.reset();            // the last ones are in the server's socket
      }
      raw_client next(v.path(), kind);  // an hour later, if that were waited for
      CHECK(next.greeted());
    }
  CHECK(eventually([&] { return v.descriptors() <= before; }));
}

}  // TEST_SUITE("asio hostile_handles")
