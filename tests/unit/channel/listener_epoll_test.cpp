// SPDX-License-Identifier: BSL-1.0
// A listener on epoll, where the set can be made to refuse a client's descriptor.
#include <ringbell/channel/listener.hpp>

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "support/channel_pair.hpp"
#include "support/process.hpp"

TEST_SUITE("listener_epoll") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

/// The descriptor at which the listener on `path` has accepted a client; there is one.
int accepted_on(const std::string& path) {
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_un local{};
    socklen_t length = sizeof local;
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length) == 0 &&
        local.sun_path == path &&
        ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 0)
      return fd;
  }
  return -1;
}

}  // namespace

TEST_CASE(
    "a client whose channel cannot be started is dropped, and the accept goes on to the next, or waits for it") {
  loop_options on_epoll;
  on_epoll.backend = loop_backend::epoll;
  on_a_loop(
      [](loop& lp) -> task<void> {
        const temporary_folder folder;
        listener l = listener::bind(lp, folder / "unlucky");
        for (const bool next_is_there : {true, false}) {
          CAPTURE(next_is_there);
          channel unlucky = co_await connect(lp, l.path());
          // An epoll set cannot be put into itself.
          REQUIRE(::dup2(lp.native_handle(), accepted_on(l.path())) >= 0);
          std::optional<channel> next;
          if (next_is_there) next = co_await connect(lp, l.path());
          beside accepted(lp, l.accept());
          co_await settle();
          CHECK(accepted.ended() == next_is_there);
          CHECK(l.clients() == (next_is_there ? 1 : 0));
          CHECK_FALSE(co_await unlucky.recv());
          if (!next) next = co_await connect(lp, l.path());
          auto server = co_await accepted.get();
          REQUIRE(server.has_value());
          channel_pair p(std::move(*server), std::move(*next));
          co_await p.client.send("hello");
          CHECK((co_await p.server.recv())->text() == "hello");
        }
      },
      on_epoll);
}

}  // TEST_SUITE("listener_epoll")
