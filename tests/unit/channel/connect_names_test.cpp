// SPDX-License-Identifier: BSL-1.0
// A name leads to a server of the own user or of root, and to nobody else, by whatever way a client
// connects.
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/sys/service_path.hpp>

#include <doctest/doctest.h>

#include "support/channel_pair.hpp"
#include "support/foreign_server.hpp"
#include "support/is_root.hpp"
#include "support/service.hpp"

TEST_SUITE("connect_names") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

struct refusal {
  refusal(std::error_code c, std::string t) : code(c), text(std::move(t)) {}
  bool says(const std::string& words) const { return text.find(words) != std::string::npos; }
  std::error_code code;
  std::string text;
};

template <class F>
refusal refused(F connect) {
  try {
    loop lp;
    connect(lp);
  } catch (const std::system_error& e) {
    return {e.code(), e.what()};
  }
  return {{}, ""};
}

connect_options for_long() {
  connect_options options;
  options.timeout = patience;
  return options;
}

refusal channel_refused(std::string name) {
  return refused([&](loop& lp) { lp.run(connect(lp, name, for_long())); });
}
refusal client_refused(std::string name) {
  return refused([&](loop& lp) {
    client_options options;
    options.connection = for_long();
    lp.run(client::connect(lp, name, options));
  });
}
refusal listener_refused(std::string name) {
  return refused([&](loop& lp) { listener::bind(lp, name); });
}

}  // namespace

TEST_CASE(
    "a server of another user behind a name is refused before it gets a byte, though its folder looks safe") {
  if (!is_root()) return;
  foreign_server server;
  for (const refusal& no : {channel_refused("echo"), client_refused("echo")}) {
    CHECK(no.code == errc::unsafe_directory);
    CHECK_MESSAGE(no.says("the server is one of user 65533"), no.text);
  }
  CHECK(server.bytes_received() == 0);
}

TEST_CASE(
    "a folder that another user made first is refused at once by who connects, as by who listens") {
  if (!is_root()) return;
  const squatted_folder folder;
  for (const refusal& no :
       {channel_refused("echo"), client_refused("echo"), listener_refused("echo")}) {
    CHECK(no.code == errc::unsafe_directory);
    CHECK_MESSAGE(no.says("belongs to user 65533 and has mode 0777: expected user 0 and mode 0700"),
                  no.text);
    CHECK_MESSAGE(no.says("$XDG_RUNTIME_DIR"), no.text);
  }
}

TEST_CASE(
    "a folder that becomes another user's while a client waits for its server is refused then") {
  if (!is_root()) return;
  const runtime_folder folder;
  loop lp;
  const auto meanwhile = [&]() -> task<void> {
    co_await sleep_for(5ms);
    expect(::mkdir((folder / "ringbell").c_str(), 0777) == 0 &&
               ::chown((folder / "ringbell").c_str(), another_user, another_user) == 0,
           "the folder");
  };
  const auto waiting = [&]() -> task<void> {
    std::error_code code;
    try {
      co_await connect(lp, "echo", for_long());
    } catch (const std::system_error& e) {
      code = e.code();
    }
    CHECK(code == errc::unsafe_directory);
  };
  lp.run([&]() -> task<void> { co_await when_all(waiting(), meanwhile()); }());
}

TEST_CASE("a server of root's is found by the name in another user's folder") {
  if (!is_root()) return;
  const runtime_folder folder;
  expect(::chmod((folder / "").c_str(), 0755) == 0 &&
             ::mkdir((folder / "ringbell").c_str(), 0700) == 0,
         "the folder");
  on_a_loop([&](loop& lp) -> task<void> {
    listener_options options;
    options.for_all_users = true;
    listener l = listener::bind(lp, folder / "ringbell/echo", options);
    expect(::chown((folder / "ringbell").c_str(), another_user, another_user) == 0,
           "the folder's owner");
    child_process user([] {
      if (::setgid(another_user) != 0 || ::setuid(another_user) != 0) return 1;
      loop there;
      there.run(connect(there, "echo", for_long()));
      return 0;
    });
    const channel ch = co_await l.accept();
    CHECK(ch.peer().user == another_user);
    co_await readable(user.pid_handle());
    CHECK(user.wait() == 0);
  });
}

TEST_CASE("a client finds the server that comes later, and its folder with it") {
  const runtime_folder folder;
  on_a_loop([&](loop& lp) -> task<void> {
    const auto serve = [&]() -> task<channel> {
      co_await sleep_for(3ms);
      listener l = listener::bind(lp, "echo");
      co_return co_await l.accept();
    };
    auto ends = co_await when_all(serve(), connect(lp, "echo", for_long()));
    CHECK(std::get<0>(ends).peer().process == std::get<1>(ends).peer().process);
  });
}

TEST_CASE("a path leads to whoever listens there") {
  if (!is_root()) return;
  foreign_server server;
  connect_options options;
  options.timeout = 20ms;
  const refusal no =
      refused([&](loop& lp) { lp.run(connect(lp, *sys::service_path("echo"), options)); });
  CHECK(no.code == errc::timed_out);  // it says nothing
  CHECK(server.bytes_received() > 0);
}

}  // TEST_SUITE("connect_names")
