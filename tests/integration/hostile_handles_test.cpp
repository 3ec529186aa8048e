// SPDX-License-Identifier: BSL-1.0
// Linux: handles of every kind that a hostile client may send, and what it can do with those that it gets.
#include <ringbell/as_result.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "support/hostile_client.hpp"
#include "support/hostile_handles.hpp"
#include "support/raw_peer.hpp"
#include "support/victims.hpp"

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

TEST_CASE("handles that are missing, too many, or of the wrong kind are refused, and not kept") {
  const victims v;
  const auto hello = raw_client::greeting();
  const auto region = sealed_page([](control_page&) {});
  const auto bell = event();
  const sys::handle null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const sys::handle file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  int pipe[2];
  REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const sys::handle reading(pipe[0]), writing(pipe[1]);
  const auto before = v.server_descriptors();

  expect_refusal(v.path(), hello, {});
  expect_refusal(v.path(), hello, {region.get()});
  expect_refusal(v.path(), hello, {region.get(), bell.get(), bell.get()});
  expect_refusal(v.path(), hello, {region.get(), bell.get(), bell.get(), bell.get()});
  expect_refusal(v.path(), hello, {bell.get(), region.get()});
  for (const auto wrong : {bell.get(), null.get(), file.get(), reading.get(), writing.get()})
    expect_refusal(v.path(), hello, {wrong, bell.get()});
  for (const auto wrong : {region.get(), null.get(), file.get(), reading.get(), writing.get()})
    expect_refusal(v.path(), hello, {region.get(), wrong});

  for (const int seals : {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, F_SEAL_GROW | F_SEAL_SEAL | future_write}) {
    const auto weak = memory(region_bytes, seals);
    expect_refusal(v.path(), hello, {weak.get(), bell.get()});
  }
  for (const std::size_t size : {std::size_t{4096}, region_bytes - 4096, region_bytes + 4096, std::size_t{1} << 20}) {
    const auto other = memory(size, all_seals);
    expect_refusal(v.path(), hello, {other.get(), bell.get()});
  }
  const auto holes = memory(region_bytes, all_seals, false);
  expect_refusal(v.path(), hello, {holes.get(), bell.get()});

  for (const auto& change : std::vector<std::function<void(control_page&)>>{
           [](control_page& p) { p.magic = 0; }, [](control_page& p) { p.version = 2; }, [](control_page& p) { p.ring_bytes = 1 << 20; },
           [](control_page& p) { std::memset(static_cast<void*>(&p), 0xff, sizeof p); }}) {
    const auto lying = sealed_page(change);
    expect_refusal(v.path(), hello, {lying.get(), bell.get()});
  }
  CHECK(eventually([&] { return v.server_descriptors() <= before; }));
}

TEST_CASE("what a client gets of a server's memory can only be read") {
  const victims v;
  raw_client attacker(v.path());
  REQUIRE(attacker.greeted());
  const int fd = attacker.peer_region_handle.get();
  const std::size_t size = control_bytes + static_cast<std::size_t>(attacker.welcome.ring_bytes);
  CHECK(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  CHECK(::mprotect(const_cast<std::byte*>(attacker.peer.data()), size, PROT_READ | PROT_WRITE) != 0);
  CHECK(::pwrite(fd, "x", 1, 0) < 0);
  CHECK(::ftruncate(fd, 0) != 0);
  CHECK(::ftruncate(fd, static_cast<off_t>(size) * 2) != 0);
  CHECK(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0);
  const sys::handle again(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR | O_CLOEXEC));
  if (again) CHECK(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, again.get(), 0) == MAP_FAILED);
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
  const std::uint64_t most = ~std::uint64_t{1};
  REQUIRE(::fcntl(attacker.own_bell.native(), F_SETFL, O_NONBLOCK) == 0);
  while (::write(attacker.own_bell.native(), &most, sizeof most) > 0) {}
  REQUIRE(::fcntl(attacker.own_bell.native(), F_SETFL, 0) == 0);
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
