// SPDX-License-Identifier: BSL-1.0
// Handles that travel through a pipe of Windows, and blocks of handles that a peer has made up.
#include <ringbell/errors.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/local_socket.hpp>
#include <ringbell/sys/region.hpp>

#include "support/child_process.hpp"
#include "support/process.hpp"
#include "support/system_objects.hpp"
#include "support/windows/local_sockets.hpp"
#include "support/windows_objects.hpp"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

TEST_SUITE("sys_windows_handles") {

using namespace ringbell::sys;
using namespace ringbell::test;
using namespace ringbell::test::local_sockets;
using ringbell::errc;

namespace {

// A pipe of this test's own, and what connects to it: a peer that does not use this library. It is
// the server or the client.
struct raw_pipe {
  explicit raw_pipe(bool raw_is_server) {
    std::error_code error;
    const std::string path = unique_pipe_path();
    if (raw_is_server) {
      raw = make_raw_pipe(path);
      socket = local_socket::connect(path, error);
    } else {
      local_listener listener = local_listener::bind(path, false, error);
      REQUIRE_FALSE(error);
      raw = open_raw_pipe(path);
      socket = listener.accept(error);
    }
    REQUIRE_FALSE(error);
    REQUIRE(raw);
  }
  void say(const raw_block& block, std::string_view text = "x") {
    std::string all(reinterpret_cast<const char*>(&block), sizeof block);
    REQUIRE(write_raw(raw, all.append(text)));
  }
  handle raw;
  local_socket socket;
};

local_socket accept_from(local_listener& listener) {
  for (;;) {
    std::error_code error;
    local_socket accepted = listener.accept(error);
    if (!error) return accepted;
    expect(error == errc::would_block && signalled(listener.native()), "a client");
  }
}

// Another process, in the client's place of "handles go between two processes".
int exchange_as_client(std::string path) {
  std::error_code error;
  local_socket socket = local_socket::connect(path, error);
  expect(!error, "a server");
  const region memory = region::create(4096, error);
  expect(!error, "memory");
  const event_bell bell = event_bell::create(error);
  expect(!error, "a bell");
  memory.data()[7] = std::byte{9};
  expect(socket.send(bytes_of("to"), std::array{memory.shared_handle(), bell.native()}).has_value(),
         "to send");
  received_handles handles;
  expect(receive(socket, handles).text == "back" && handles.count == 2, "an answer");
  const peer_region peer = peer_region::map(std::move(handles.items[0]), 8192, error);
  expect(!error && peer.data()[8] == std::byte{10}, "the server's memory");
  expect(signalled(bell.native()), "to be rung");
  memory.data()[7] = peer.data()[9];
  expect(event_bell::is_event(handles.items[1].get()), "the server's bell");
  expect(!event_bell(handles.items[1].trusted()).ring(), "to ring");
  expect(receive(socket).text.empty(), "the server's hang-up");
  return 0;
}

int connect_and_stay(std::string path, milestone connected) {
  std::error_code error;
  local_socket socket = local_socket::connect(path, error);
  expect(!error, "a server");
  expect(socket.send(bytes_of("hello")).has_value(), "to send");
  connected.reach();
  (void)signalled(socket.native());
  return 0;
}

// Writes a block that names its own handle, and ends before anybody can look at it.
int name_a_handle_and_end(std::string path, std::uint64_t value) {
  const handle raw = open_raw_pipe(path);
  raw_block block;
  block.count = 1;
  block.values[0] = value;
  expect(write_raw(raw, std::string(reinterpret_cast<const char*>(&block), sizeof block) + "x"),
         "to write");
  ::TerminateProcess(::GetCurrentProcess(), 0);
  return 1;
}

}  // namespace

TEST_CASE("handles travel with the first bytes, whoever is the server, and have fewer rights") {
  for (const std::size_t first : {0, 1}) {
    CAPTURE(first);
    auto ends = make_pair();
    std::error_code error;
    region memory = region::create(4096, error);
    REQUIRE_FALSE(error);
    memory.data()[7] = std::byte{9};
    event_bell bell = make_bell();
    const std::array sent{memory.shared_handle(), bell.native()};
    REQUIRE(ends[first].send(bytes_of("x"), sent));
    received_handles handles;
    CHECK(receive(ends[1 - first], handles).text == "x");
    REQUIRE(handles.count == 2);
    handle section = handles.items[0].trusted();
    CHECK_FALSE(can_be_mapped_for_writing(section));
    CHECK_FALSE(can_become_writable(section));
    const peer_region peer = peer_region::map(std::move(section), 4096, error);
    REQUIRE_FALSE(error);
    CHECK(peer.data()[7] == std::byte{9});
    memory.data()[7] = std::byte{10};
    CHECK(peer.data()[7] == std::byte{10});
    CHECK(event_bell::is_event(handles.items[1].get()));
    CHECK_FALSE(is_signalled(bell.native()));
    CHECK_FALSE(event_bell(handles.items[1].trusted()).ring());
    CHECK(signalled(bell.native()));
  }
}

TEST_CASE("handles go between two processes, in both directions") {
  const std::string path = unique_pipe_path();
  std::error_code error;
  local_listener listener = local_listener::bind(path, false, error);
  REQUIRE_FALSE(error);
  child_process client(&exchange_as_client, path);
  local_socket socket = accept_from(listener);
  CHECK(socket.peer().value().process == static_cast<std::int64_t>(client.id()));
  received_handles handles;
  REQUIRE(receive(socket, handles).text == "to");
  REQUIRE(handles.count == 2);
  const peer_region peer = peer_region::map(std::move(handles.items[0]), 4096, error);
  REQUIRE_FALSE(error);
  CHECK(peer.data()[7] == std::byte{9});
  const region memory = region::create(8192, error);
  memory.data()[8] = std::byte{10};
  memory.data()[9] = std::byte{11};
  const event_bell bell = make_bell();
  REQUIRE(socket.send(bytes_of("back"), std::array{memory.shared_handle(), bell.native()}));
  REQUIRE(event_bell::is_event(handles.items[1].get()));
  CHECK_FALSE(event_bell(handles.items[1].trusted()).ring());
  CHECK(signalled(bell.native()));
  CHECK(peer.data()[7] == std::byte{11});
  socket = local_socket();
  CHECK(client.wait() == 0);
}

TEST_CASE("a killed client has hung up, after what it sent") {
  const std::string path = unique_pipe_path();
  std::error_code error;
  local_listener listener = local_listener::bind(path, false, error);
  REQUIRE_FALSE(error);
  const milestone connected;
  child_process client(&connect_and_stay, path, connected);
  local_socket socket = accept_from(listener);
  connected.wait();
  CHECK(receive(socket).text == "hello");
  client.kill();
  CHECK(signalled(socket.native()));
  CHECK(socket.drain());
  CHECK(socket.send(bytes_of("x")).error() == errc::peer_closed);
}

TEST_CASE(
    "a client that named a handle and has ended is an error, and nothing of this process is taken for its handle") {
  const event_bell bell = make_bell();
  const std::string path = unique_pipe_path();
  std::error_code error;
  local_listener listener = local_listener::bind(path, false, error);
  REQUIRE_FALSE(error);
  child_process client(&name_a_handle_and_end, path, value_of(bell.native()));
  CHECK(client.wait() == 0);
  local_socket socket = accept_from(listener);
  received_handles handles;
  CHECK(receive(socket, handles).error);
  CHECK(handles.count == 0);
}

TEST_CASE("no handle is left behind when a connection with handles has ended") {
  const auto exchange = [] {
    auto [a, b] = make_pair();
    event_bell bell = make_bell();
    const std::array sent{bell.native(), bell.native()};
    for (local_socket* from : {&a, &b}) {
      REQUIRE(from->send(bytes_of("x"), sent));
      received_handles handles;
      CHECK(receive(from == &a ? b : a, handles).text == "x");
    }
  };
  exchange();
  const int before = open_descriptors();
  for (int i = 0; i < 10; ++i) exchange();
  CHECK(open_descriptors() == before);
}

TEST_CASE(
    "handles that are too many, without a byte, late, or of another kind are an invalid argument") {
  auto [a, b] = make_pair();
  const event_bell bell = make_bell();
  const std::vector<native_handle> five(5, bell.native());
  CHECK(a.send(bytes_of("x"), five).error() == std::errc::invalid_argument);
  CHECK(a.send({}, std::span(five).first(1)).error() == std::errc::invalid_argument);
  const handle other = make_semaphore();
  CHECK(a.send(bytes_of("x"), std::array{other.get()}).error() == std::errc::invalid_argument);
  CHECK(a.send(bytes_of("x"), std::array{invalid_handle}).error() == std::errc::invalid_argument);
  REQUIRE(a.send(bytes_of("x")));
  CHECK(a.send(bytes_of("x"), std::span(five).first(1)).error() == std::errc::invalid_argument);
  CHECK(receive(b).text == "x");
}

TEST_CASE("a pair's peer is this process and its user") {
  auto [a, b] = make_pair();
  for (const local_socket* end : {&a, &b}) {
    const peer_identity who = end->peer().value();
    CHECK(static_cast<std::uint64_t>(who.process) == current_process());
    CHECK(who.user == current_user());
  }
  CHECK(text_of(current_user()).starts_with("S-1-"));
}

TEST_CASE(
    "a client that names what is no handle, or stands for something in every process, is bad_peer") {
  for (const std::uint64_t value :
       {~std::uint64_t{0}, ~std::uint64_t{0} - 1, std::uint64_t{0xffffffff}, std::uint64_t{0},
        std::uint64_t{3}, std::uint64_t{0x7ffffff0}}) {
    CAPTURE(value);
    raw_pipe p(false);
    raw_block block;
    block.count = 1;
    block.values[0] = value;
    p.say(block);
    received_handles handles;
    CHECK(receive(p.socket, handles).error == errc::bad_peer);
    CHECK(handles.count == 0);
    CHECK(receive(p.socket).text.empty());  // and it is over
  }
}

TEST_CASE("a client that names a handle of another kind is bad_peer, and it is not kept") {
  const handle semaphore = make_semaphore();
  const event_bell bell = make_bell();
  raw_pipe p(false);
  raw_block block;
  block.count = 2;
  block.values[0] = value_of(bell.native());
  block.values[1] = value_of(semaphore.get());
  const int before = open_descriptors();
  p.say(block);
  received_handles handles;
  CHECK(receive(p.socket, handles).error == errc::bad_peer);
  CHECK(handles.count == 0);
  CHECK(open_descriptors() <= before + 1);  // the client's process
}

TEST_CASE("a block of more handles than four, or with other reserved bytes, is bad_peer") {
  for (const bool server : {false, true}) {
    CAPTURE(server);
    for (const bool many : {false, true}) {
      raw_pipe p(server);
      raw_block block;
      block.count = many ? 5 : 0;
      block.reserved = many ? 0 : 1;
      p.say(block);
      CHECK(receive(p.socket).error == errc::bad_peer);
    }
  }
}

TEST_CASE("a server cannot make its client close a handle that is another's") {
  const event_bell bell = make_bell();
  raw_pipe p(true);
  raw_block block;
  block.count = 1;
  block.values[0] = value_of(bell.native());
  p.say(block);
  received_handles handles;
  CHECK(receive(p.socket, handles).error == errc::bad_peer);
  CHECK(handles.count == 0);
  p.socket = local_socket();
  CHECK(event_bell::is_event(bell.native()));
}

TEST_CASE("a block that comes byte by byte is one") {
  raw_pipe p(false);
  const event_bell bell = make_bell();
  raw_block block;
  block.count = 1;
  block.values[0] = value_of(bell.native());
  const std::string all = std::string(reinterpret_cast<const char*>(&block), sizeof block) + "x";
  std::array<std::byte, 8> buffer;
  received_handles handles;
  for (const char c : all) {
    CHECK(p.socket.receive(buffer, handles).error() == errc::would_block);
    REQUIRE(write_raw(p.raw, std::string(1, c)));
    REQUIRE(signalled(p.socket.native()));
  }
  CHECK(p.socket.receive(buffer, handles).value() == 1);
  CHECK(handles.count == 1);
}

TEST_CASE("a peer that hangs up within its block has hung up") {
  raw_pipe p(false);
  REQUIRE(write_raw(p.raw, "abc"));
  p.raw.reset();
  const result_text end = receive(p.socket);
  CHECK_FALSE(end.error);
  CHECK(end.text.empty());
}

}  // TEST_SUITE("sys_windows_handles")
