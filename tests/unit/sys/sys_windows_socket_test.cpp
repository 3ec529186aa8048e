// SPDX-License-Identifier: BSL-1.0
// Bytes through a pipe of Windows, and its end. sys_windows_handles_test.cpp has the handles that
// travel with them.
#include <ringbell/errors.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/doorbell.hpp>
#include <ringbell/sys/local_socket.hpp>

#include "support/system_objects.hpp"
#include "support/windows/local_sockets.hpp"
#include "support/windows_objects.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

TEST_SUITE("sys_windows_socket") {

using namespace ringbell::sys;
using namespace ringbell::test;
using namespace ringbell::test::local_sockets;
using ringbell::errc;

TEST_CASE("bytes arrive as they were sent, both ways") {
  auto [a, b] = make_pair();
  CHECK(a.send(bytes_of("hello")).value() == 5);
  CHECK(b.send(bytes_of("you")).value() == 3);
  CHECK(receive(b).text == "hello");
  CHECK(receive(a).text == "you");
  CHECK(a.send(bytes_of("again")).value() == 5);
  CHECK(receive(b).text == "again");
}

TEST_CASE("bytes are received in pieces of any size") {
  auto [a, b] = make_pair();
  REQUIRE(a.send(bytes_of("hello")));
  std::array<std::byte, 2> buffer;
  received_handles handles;
  REQUIRE(signalled(b.native()));
  CHECK(b.receive(buffer, handles).value() == 2);
  CHECK(b.receive(buffer, handles).value() == 2);
  CHECK(b.receive(buffer, handles).value() == 1);
  CHECK(b.receive(buffer, handles).error() == errc::would_block);
}

TEST_CASE("bytes that were left are news to the next who waits") {
  auto [a, b] = make_pair();
  REQUIRE(a.send(bytes_of("hello")));
  REQUIRE(signalled(b.native()));
  std::array<std::byte, 2> buffer;
  received_handles handles;
  CHECK(b.receive(buffer, handles).value() == 2);
  CHECK(signalled(b.native()));
}

TEST_CASE("receiving when nothing has come would block") {
  auto [a, b] = make_pair();
  CHECK_FALSE(is_signalled(b.native()));
  std::array<std::byte, 1> buffer;
  received_handles handles;
  CHECK(b.receive(buffer, handles).error() == errc::would_block);
}

TEST_CASE("receiving into nothing is an invalid argument, as it would look like a hang-up") {
  auto [a, b] = make_pair();
  received_handles handles;
  CHECK(b.receive({}, handles).error() == std::errc::invalid_argument);
}

TEST_CASE("what was sent before a hang-up is received, then zero bytes, whoever is the server") {
  for (const std::size_t first : {0, 1}) {
    CAPTURE(first);
    auto ends = make_pair();
    REQUIRE(ends[first].send(bytes_of("last")));
    ends[first] = local_socket();
    CHECK(receive(ends[1 - first]).text == "last");
    const result_text end = receive(ends[1 - first]);
    CHECK_FALSE(end.error);
    CHECK(end.text.empty());
    CHECK(receive(ends[1 - first]).text.empty());
  }
}

TEST_CASE("a hang-up wakes who waits, and is told by a drain") {
  auto [a, b] = make_pair();
  CHECK_FALSE(b.drain());
  a = local_socket();
  CHECK(signalled(b.native()));
  CHECK(b.drain());
}

TEST_CASE("a drain takes what has come, and hears of what comes then") {
  auto [a, b] = make_pair();
  REQUIRE(a.send(bytes_of("hello")));
  REQUIRE(signalled(b.native()));
  CHECK_FALSE(b.drain());
  REQUIRE(a.send(bytes_of("x")));
  CHECK(signalled(b.native()));
  CHECK_FALSE(b.drain());
  a = local_socket();
  CHECK(signalled(b.native()));
  CHECK(b.drain());
}

TEST_CASE(
    "a sender whose peer does not read is held up after what a pipe holds, and goes on when it reads") {
  auto [a, b] = make_pair();
  const std::vector<std::byte> block(4000);
  std::size_t sent = 0;
  std::error_code error;
  for (int i = 0; i < 10 && !error; ++i) {
    const auto went = a.send(block);
    error = went.error();
    if (went) sent += *went;
  }
  CHECK(error == errc::would_block);
  std::size_t got = 0;
  while (got < sent) {
    const result_text piece = receive(b);
    REQUIRE_FALSE(piece.error);
    got += piece.text.size();
  }
  CHECK(got == sent);
  CHECK(a.send(bytes_of("x")).value() == 1);
}

TEST_CASE("sending to a peer that hung up is peer_closed") {
  auto [a, b] = make_pair();
  b = local_socket();
  CHECK(a.send(bytes_of("x")).error() == errc::peer_closed);
}

TEST_CASE("an end may be destroyed with a write under way") {
  auto [a, b] = make_pair();
  const std::vector<std::byte> block(4096);
  while (a.send(block)) {}
  a = local_socket();
  CHECK(b);
}

TEST_CASE("a socket goes on when the thread that made it has ended") {
  std::array<local_socket, 2> ends;
  std::thread([&] { ends = make_pair(); }).join();
  REQUIRE(ends[0].send(bytes_of("hello")));
  CHECK(receive(ends[1]).text == "hello");
  ends[0] = local_socket();
  CHECK(receive(ends[1]).text.empty());
}

TEST_CASE("a doorbell tells of the bell and of the hang-up by the bell's event") {
  auto [a, b] = make_pair();
  event_bell bell = make_bell();
  std::error_code error;
  doorbell door = doorbell::create(a, bell, error);
  REQUIRE_FALSE(error);
  (void)is_signalled(door.native());
  CHECK_FALSE(door.answer(a));
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(is_signalled(door.native()));
    CHECK_FALSE(bell.ring());
    CHECK(signalled(door.native()));
    CHECK_FALSE(door.answer(a));
  }
  b = local_socket();
  CHECK(signalled(door.native()));
  CHECK(door.answer(a));
}

TEST_CASE("a doorbell may be closed after what it watches") {
  std::error_code error;
  doorbell door;
  {
    auto [a, b] = make_pair();
    door = doorbell::create(a, make_bell(), error);
    REQUIRE_FALSE(error);
  }
  local_socket none;
  CHECK_FALSE(door.answer(none));
  (void)doorbell::create(none, event_bell(), error);
  CHECK(error == std::errc::bad_file_descriptor);
}

}  // TEST_SUITE("sys_windows_socket")
