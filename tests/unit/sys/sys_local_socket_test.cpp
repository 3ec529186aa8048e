// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/local_socket.hpp>

#include "support/applies.hpp"
#include "support/process.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <ostream>
#include <vector>

TEST_SUITE("sys_local_socket") {

using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;

namespace {

std::array<local_socket, 2> make_pair() {
  std::error_code error;
  auto ends = local_socket::pair(error);
  REQUIRE_FALSE(error);
  return ends;
}

struct pipe_ends {
  pipe_ends() {
    int fds[2];
    REQUIRE(pipe_closed_on_exec(fds) == 0);
    do_not_block(fds);
    read = handle(fds[0]);
    write = handle(fds[1]);
  }
  // Whether nobody has the writing end any more.
  bool hung_up() const {
    pollfd p{read.get(), POLLIN, 0};
    return ::poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
  }
  handle read;
  handle write;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// What a peer can do that does not use this library: attach as many handles as the kernel lets it.
void send_raw(const local_socket& from, std::string_view text, int fd, std::size_t copies) {
  const std::vector<int> fds(copies, fd);
  std::vector<char> control(CMSG_SPACE(sizeof(int) * copies));
  iovec payload{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * copies);
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * copies);
  REQUIRE(::sendmsg(from.native(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

void fill(local_socket& socket) {
  const std::vector<std::byte> block(4096);
  while (socket.send(block)) {}
  while (socket.send({block.data(), 1})) {}
}

}  // namespace

TEST_CASE("bytes arrive as they were sent") {
  auto [a, b] = make_pair();
  CHECK(a.send(bytes_of("hello")).value() == 5);
  std::array<std::byte, 16> buffer;
  received_handles handles;
  CHECK(b.receive(buffer, handles).value() == 5);
  CHECK(std::memcmp(buffer.data(), "hello", 5) == 0);
  CHECK(handles.count == 0);
}

TEST_CASE("both ends are closed on exec and do not block") {
  for (const local_socket& end : make_pair()) {
    CHECK((::fcntl(end.native(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(end.native(), F_GETFL) & O_NONBLOCK) != 0);
  }
}

TEST_CASE("receiving when nothing has come would block") {
  auto [a, b] = make_pair();
  std::array<std::byte, 1> buffer;
  received_handles handles;
  CHECK(b.receive(buffer, handles).error() == errc::would_block);
}

TEST_CASE("receiving into nothing is an invalid argument, as it would look like a hang-up") {
  auto [a, b] = make_pair();
  received_handles handles;
  CHECK(b.receive({}, handles).error() == std::errc::invalid_argument);
}

TEST_CASE("sending into a full buffer would block") {
  auto [a, b] = make_pair();
  fill(a);
  CHECK(a.send(bytes_of("x")).error() == errc::would_block);
}

TEST_CASE("what was sent before a hang-up is received, then zero bytes") {
  auto [a, b] = make_pair();
  REQUIRE(a.send(bytes_of("last")));
  a = local_socket();
  std::array<std::byte, 16> buffer;
  received_handles handles;
  CHECK(b.receive(buffer, handles).value() == 4);
  CHECK(b.receive(buffer, handles).value() == 0);
}

TEST_CASE("a peer that hung up without reading is peer_closed, after what it sent") {
  auto [a, b] = make_pair();
  REQUIRE(a.send(bytes_of("last")));
  REQUIRE(b.send(bytes_of("unread")));
  a = local_socket();
  std::array<std::byte, 16> buffer;
  received_handles handles;
  CHECK(b.receive(buffer, handles).value() == 4);
  // Where the kernel does not tell whether there are handles among what is unread, a thread reads
  // it, and hangs up.
  ringbell::result<std::size_t> end = errc::would_block;
  CHECK(eventually([&] {
    end = b.receive(buffer, handles);
    return end.has_value() || end.error() != errc::would_block;
  }));
  if (end.has_value() && (here_and_now & kqueue_hosts) != 0)
    CHECK(*end == 0);
  else
    CHECK(end.error() == errc::peer_closed);
}

TEST_CASE("sending to and ringing a peer that hung up is peer_closed and raises no signal") {
  auto [a, b] = make_pair();
  b = local_socket();
  CHECK(a.send(bytes_of("x")).error() == errc::peer_closed);
  CHECK(a.ring() == errc::peer_closed);
}

TEST_CASE("up to four handles travel with bytes, closed on exec") {
  for (std::size_t n = 0; n <= received_handles::capacity; ++n) {
    CAPTURE(n);
    auto [a, b] = make_pair();
    std::vector<pipe_ends> pipes(n);
    std::vector<native_handle> sent;
    for (const pipe_ends& p : pipes) sent.push_back(p.write.get());
    const int before = open_descriptors();
    {
      CHECK(a.send(bytes_of("xy"), sent).value() == 2);
      std::array<std::byte, 2> buffer;
      received_handles handles;
      CHECK(b.receive(buffer, handles).value() == 2);
      REQUIRE(handles.count == n);
      for (std::size_t i = 0; i < n; ++i) {
        CHECK((::fcntl(handles.items[i].get(), F_GETFD) & FD_CLOEXEC) != 0);
        pipes[i].write.reset();
        CHECK_FALSE(pipes[i].hung_up());
      }
      CHECK(open_descriptors() == before);  // n received, n given up
    }
    for (const pipe_ends& p : pipes) CHECK(eventually([&] { return p.hung_up(); }));
  }
}

TEST_CASE("a handle received is the very object that was sent, in their order" * needs_eventfd) {
  auto [a, b] = make_pair();
  std::error_code error;
  event_bell first = event_bell::create(error);
  event_bell second = event_bell::create(error);
  const std::array sent{first.native(), second.native()};
  REQUIRE(a.send(bytes_of("x"), sent));
  std::array<std::byte, 1> buffer;
  received_handles handles;
  REQUIRE(b.receive(buffer, handles));
  REQUIRE(handles.count == 2);
  CHECK_FALSE(event_bell(handles.items[1].trusted()).ring());
  pollfd p[2] = {{first.native(), POLLIN, 0}, {second.native(), POLLIN, 0}};
  CHECK(::poll(p, 2, 0) == 1);
  CHECK(p[1].revents == POLLIN);
}

TEST_CASE("handles of several pieces are collected, to four in all") {
  auto [a, b] = make_pair();
  const pipe_ends p;
  const std::array two{p.write.get(), p.write.get()};
  std::array<std::byte, 8> buffer;
  received_handles handles;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(a.send(bytes_of("x"), two));
    REQUIRE(b.receive(buffer, handles));
  }
  CHECK(handles.count == 4);
  const int before = open_descriptors();
  REQUIRE(a.send(bytes_of("x"), two));
  CHECK(b.receive(buffer, handles).error() == errc::bad_peer);
  CHECK(handles.count == 0);
  CHECK(open_descriptors() == before - 4);
}

TEST_CASE("more handles than four are bad_peer, and none is kept") {
  for (const std::size_t n : {5, 6, 100, 253}) {
    CAPTURE(n);
    auto [a, b] = make_pair();
    pipe_ends p;
    send_raw(a, "x", p.write.get(), n);
    p.write.reset();
    const int before = open_descriptors();
    std::array<std::byte, 8> buffer;
    received_handles handles;
    CHECK(b.receive(buffer, handles).error() == errc::bad_peer);
    CHECK(handles.count == 0);
    CHECK(open_descriptors() == before);
    b = local_socket();
    CHECK(eventually([&] { return p.hung_up(); }));
  }
}

TEST_CASE("handles that this process may not have are its own error, and none is kept") {
  CHECK(run_in_child([] {
          auto [a, b] = make_pair();
          const pipe_ends p;
          const std::array sent{p.write.get(), p.write.get(), p.write.get()};
          if (!a.send(bytes_of("x"), sent)) return 1;
          const int before = open_descriptors();
          // Room for one more.
          int next = ::dup(0);
          ::close(next);
          const rlimit limit{static_cast<rlim_t>(next) + 1, static_cast<rlim_t>(next) + 1};
          if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
          std::array<std::byte, 8> buffer;
          received_handles handles;
          if (b.receive(buffer, handles).error() != std::errc::too_many_files_open) return 3;
          if (!eventually([] { return closing_elsewhere() == 0; })) return 5;
          return handles.count == 0 && open_descriptors() == before ? 0 : 4;
        }) == 0);
}

TEST_CASE("sending more handles than four, or handles without a byte, is an invalid argument") {
  auto [a, b] = make_pair();
  const std::array<native_handle, 5> five{0, 0, 0, 0, 0};
  CHECK(a.send(bytes_of("x"), five).error() == std::errc::invalid_argument);
  CHECK(a.send({}, std::span(five).first(1)).error() == std::errc::invalid_argument);
}

TEST_CASE("sending a handle that is not open fails and sends nothing") {
  auto [a, b] = make_pair();
  const std::array sent{invalid_handle};
  CHECK(a.send(bytes_of("x"), sent).error() == std::errc::bad_file_descriptor);
  std::array<std::byte, 8> buffer;
  received_handles handles;
  CHECK(b.receive(buffer, handles).error() == errc::would_block);
}

TEST_CASE("a ring is seen by a poll and taken by a drain") {
  auto [a, b] = make_pair();
  CHECK_FALSE(a.ring());
  CHECK_FALSE(a.ring());
  pollfd p{b.native(), POLLIN, 0};
  CHECK(::poll(&p, 1, 0) == 1);
  CHECK_FALSE(b.drain());
  CHECK(::poll(&p, 1, 0) == 0);
  CHECK_FALSE(b.drain());
}

TEST_CASE("ringing into a full buffer succeeds at once") {
  auto [a, b] = make_pair();
  fill(a);
  CHECK_FALSE(a.ring());
  CHECK_FALSE(b.drain());
  CHECK(a.send(bytes_of("x")));
}

TEST_CASE("ringing never blocks, even when somebody made the socket blocking") {
  auto [a, b] = make_pair();
  REQUIRE(::fcntl(a.native(), F_SETFL, 0) == 0);
  REQUIRE(::fcntl(b.native(), F_SETFL, 0) == 0);
  for (int i = 0; i < 10'000; ++i) REQUIRE_FALSE(a.ring());
  CHECK_FALSE(b.drain());
}

TEST_CASE("a drain takes all rings that fit a socket buffer") {
  auto [a, b] = make_pair();
  for (int i = 0; i < 10'000; ++i) REQUIRE_FALSE(a.ring());
  CHECK_FALSE(b.drain());
  pollfd p{b.native(), POLLIN, 0};
  CHECK(::poll(&p, 1, 0) == 0);
}

TEST_CASE("a drain sees the hang-up behind the rings") {
  auto [a, b] = make_pair();
  REQUIRE_FALSE(a.ring());
  a = local_socket();
  CHECK(b.drain());
}

TEST_CASE("a drain sees the hang-up of a peer that had not read its rings") {
  auto [a, b] = make_pair();
  REQUIRE_FALSE(b.ring());
  a = local_socket();
  CHECK(eventually([&] { return static_cast<bool>(b.drain()); }));
}

TEST_CASE("a peer that attaches handles to its rings has hung up, and they are closed") {
  auto [a, b] = make_pair();
  pipe_ends p;
  CHECK_FALSE(a.ring());
  for (int i = 0; i < 3; ++i) send_raw(a, "x", p.write.get(), 7);
  p.write.reset();
  CHECK_FALSE(p.hung_up());
  const int before = open_descriptors();
  CHECK(b.drain());
  CHECK(open_descriptors() == before);
  b = local_socket();
  CHECK(eventually([&] { return p.hung_up(); }));
  CHECK(open_descriptors() == before - 1);
}

TEST_CASE("a forked child that closes its copy of a socket takes nothing out of it") {
  auto [a, b] = make_pair();
  const pipe_ends p;
  const std::array sent{p.write.get()};
  REQUIRE(a.send(bytes_of("hello"), sent));
  CHECK(run_in_child([&] {
          b = local_socket();
          return eventually([] { return closing_elsewhere() == 0; }) ? 0 : 1;
        }) == 0);
  std::array<std::byte, 16> buffer;
  received_handles handles;
  CHECK(b.receive(buffer, handles).value() == 5);
  CHECK(handles.count == 1);
  CHECK(a.send(bytes_of("more")).value() == 4);  // nor has it been shut down
}

TEST_CASE("handles in a socket that is closed unread are closed") {
  auto [a, b] = make_pair();
  pipe_ends p;
  REQUIRE(a.send(bytes_of("bytes")));
  send_raw(a, "x", p.write.get(), 253);
  send_raw(a, "x", p.write.get(), 1);
  p.write.reset();
  const int before = open_descriptors();
  b = local_socket();
  CHECK(eventually([&] { return p.hung_up(); }));
  CHECK(open_descriptors() == before - 1);
  CHECK(a.send(bytes_of("more")).error() == errc::peer_closed);
}

TEST_CASE(
    "once no handles are let in, bytes still come, and handles are not sent or end the connection") {
  auto [a, b] = make_pair();
  CHECK(b.let_no_handles_in());
  REQUIRE_FALSE(a.ring());
  CHECK_FALSE(b.drain());
  const pipe_ends p;
  const std::array sent{p.write.get()};
  const auto late = a.send(bytes_of("x"), sent);
  CHECK(b.drain() == late.has_value());
}

TEST_CASE("handles that have come before no more are let in are told" *
          not_on(kqueue_hosts, "they are found when they are read")) {
  for (const bool bytes_first : {false, true}) {
    auto [a, b] = make_pair();
    const pipe_ends p;
    if (bytes_first) REQUIRE(a.send(bytes_of("bells")));
    const std::array sent{p.write.get()};
    REQUIRE(a.send(bytes_of("x"), sent));
    CHECK_FALSE(b.let_no_handles_in());
  }
  auto [a, b] = make_pair();
  REQUIRE(a.send(bytes_of("bells")));
  CHECK(b.let_no_handles_in());
}

TEST_CASE("a drain ends while a hostile peer goes on ringing") {
  auto ends = make_pair();
  local_socket& mine = ends[0];
  const pid_t child = start_child([&] {
    mine = local_socket();
    ::fcntl(ends[1].native(), F_SETFL, 0);
    const std::vector<char> block(65536);
    while (::send(ends[1].native(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {}
    return 0;
  });
  ends[1] = local_socket();
  for (int i = 0; i < 50; ++i) CHECK_FALSE(mine.drain());
  mine = local_socket();
  CHECK(wait_for(child) == 0);
}

TEST_CASE("a pair's peer is this process and its user") {
  auto [a, b] = make_pair();
  const peer_identity who = a.peer().value();
  CHECK(who.process == ::getpid());
  CHECK(who.user == current_user());
  CHECK(who.group == ::getegid());
}

TEST_CASE("what is no socket has no peer") {
  CHECK(local_socket().peer().error() == std::errc::bad_file_descriptor);
}

TEST_CASE(
    "a forked child has an id of its own, its parent keeps his, and so on with the child's child") {
  const auto own = current_process();
  CHECK(own == static_cast<std::uint64_t>(::getpid()));
  const auto is_right = [](std::uint64_t parent) {
    return current_process() == static_cast<std::uint64_t>(::getpid()) &&
           current_process() != parent;
  };
  CHECK(run_in_child([&] {
          if (!is_right(own)) return 1;
          const auto child = current_process();
          return run_in_child([&] { return is_right(child) ? 0 : 2; });
        }) == 0);
  CHECK(current_process() == own);
}

}  // TEST_SUITE("sys_local_socket")
