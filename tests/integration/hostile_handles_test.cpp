// SPDX-License-Identifier: BSL-1.0
// Linux: handles of every kind that a hostile client may send, and what it can do with those that
// it gets.
#include <ringbell/coro/as_result.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "support/hostile_client.hpp"
#include "support/hostile_handles.hpp"
#include "support/raw_peer.hpp"
#include "support/victims.hpp"

TEST_SUITE("hostile_handles") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

TEST_CASE(
    "handles of the wrong kind, and memory that could shrink or has holes, are refused, and not kept") {
  const victims v;
  const auto hello = raw_client::greeting();
  const auto region = sealed_page([](ring::control_page&) {});
  const auto bell = event();
  const sys::handle null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const sys::handle file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  int pipe[2];
  REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const sys::handle reading(pipe[0]), writing(pipe[1]);
  const auto before = v.server_descriptors();

  for (const auto wrong : {bell.get(), null.get(), file.get(), reading.get(), writing.get()})
    expect_refusal(v.path(), hello, {wrong, bell.get()});
  for (const auto wrong : {region.get(), null.get(), file.get(), reading.get(), writing.get()})
    expect_refusal(v.path(), hello, {region.get(), wrong});

  for (const int seals : {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
                          F_SEAL_GROW | F_SEAL_SEAL | future_write}) {
    const auto weak = memory(region_bytes, seals);
    expect_refusal(v.path(), hello, {weak.get(), bell.get()});
  }
  for (const std::size_t size :
       {std::size_t{4096}, region_bytes - 4096, region_bytes + 4096, std::size_t{1} << 20}) {
    const auto other = memory(size, all_seals);
    expect_refusal(v.path(), hello, {other.get(), bell.get()});
  }
  const auto holes = memory(region_bytes, all_seals, false);
  expect_refusal(v.path(), hello, {holes.get(), bell.get()});
  CHECK(eventually([&] { return v.server_descriptors() <= before; }));
}

TEST_CASE("more handles than a greeting can have close the connection") {
  const victims v;
  const auto before = v.server_descriptors();
  for (int i = 0; i < 20; ++i) {
    raw_peer attacker = raw_peer::connected_to(v.path());
    const auto bell = event();
    const auto frame = handshake::encode(raw_client::greeting());
    int many[100];
    std::ranges::fill(many, bell.get());
    iovec bytes{const_cast<std::byte*>(frame.bytes().data()), frame.size};
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof many)] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof many);
    std::memcpy(CMSG_DATA(c), many, sizeof many);
    REQUIRE(::sendmsg(attacker.socket.native(), &message, MSG_NOSIGNAL) > 0);
    CHECK(attacker.hangs_up());
  }
  CHECK(eventually([&] { return v.server_descriptors() <= before; }));
}

TEST_CASE("what a client gets of a server's memory can only be read") {
  const victims v;
  raw_client attacker(v.path());
  REQUIRE(attacker.greeted());
  const int fd = attacker.peer_region_handle.get();
  const std::size_t size =
      ring::control_bytes + static_cast<std::size_t>(attacker.welcome.ring_bytes);
  CHECK(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  CHECK(::mprotect(const_cast<std::byte*>(attacker.peer.data()), size, PROT_READ | PROT_WRITE) !=
        0);
  CHECK(::pwrite(fd, "x", 1, 0) < 0);
  CHECK(::ftruncate(fd, 0) != 0);
  CHECK(::ftruncate(fd, static_cast<off_t>(size) * 2) != 0);
  CHECK(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0);
  const sys::handle again(
      ::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR | O_CLOEXEC));
  if (again)
    CHECK(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, again.get(), 0) == MAP_FAILED);
}

TEST_CASE(
    "a client's eventfd that is made blocking and full may hold up its server: the documented price of eventfds between processes of one user") {
  const temporary_folder folder;
  const std::string path = folder / "server";
  const shared_object<outcomes> counts;
  child_process server([&] {
    loop lp;
    lp.run(serve(lp, path, for_tests(), *counts));
    return 0;
  });
  raw_client attacker(path);
  REQUIRE(attacker.greeted());
  jam(attacker.own_bell);
  attacker.page().data_wake_at = 0;  // "ring me for the answer"
  publish(attacker, header(8, 0), 16);
  REQUIRE(eventually([&] { return attacker.peer_page().tx_tail.load() == 16; }));
  // Whether it still answers others.
  raw_peer other = raw_peer::connected_to(path);
  other.send(handshake::refused{});
  const bool alive = other.hangs_up(1s);
  MESSAGE("a server that rings such an eventfd " << std::string(alive ? "goes on" : "is held up"));
  if (!alive) {
    std::uint64_t counter = 0;  // whoever holds the other end can let it go
    CHECK(::read(attacker.own_bell.native(), &counter, sizeof counter) > 0);
    CHECK(other.hangs_up());
  }
}

}  // TEST_SUITE("hostile_handles")
