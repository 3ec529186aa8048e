// SPDX-License-Identifier: BSL-1.0
// How many clients one user may have, and what becomes of those of another user.
#include <ringbell/channel/detail/clients_by_user.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/service/statistics.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <memory>

#include "support/channel_pair.hpp"
#include "support/child_process.hpp"
#include "support/service.hpp"

TEST_SUITE("listener_users") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

listener_options at_most_per_user(std::size_t clients) {
  listener_options options;
  options.max_clients_per_user = clients;
  return options;
}

/// What connecting throws: code and text.
struct refusal {
  refusal(std::error_code c, std::string t) : code(c), text(std::move(t)) {}
  std::error_code code;
  std::string text;
};
task<refusal> refused(loop& lp, std::string path) {
  try {
    co_await connect(lp, path);
  } catch (const std::system_error& e) {
    co_return refusal(e.code(), e.what());
  }
  co_return refusal({}, "");
}

task<channel_pair> meet(loop& lp, listener& l) {
  auto ends = co_await when_all(l.accept(), connect(lp, l.path()));
  co_return channel_pair(std::move(std::get<0>(ends)), std::move(std::get<1>(ends)));
}

task<void> works(channel_pair& p) {
  co_await p.client.send("hello");
  CHECK((co_await p.server.recv())->text() == "hello");
}

}  // namespace

TEST_CASE(
    "a client more than one user may have is refused, by that name and with the limit, until another one has left") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener l = listener::bind(lp, folder / "fair", at_most_per_user(2));
    channel_pair stays = co_await meet(lp, l);
    {
      channel_pair leaves = co_await meet(lp, l);
      for (int i = 0; i < 2; ++i) {
        const refusal no = co_await refused(lp, l.path());
        CHECK(no.code == errc::refused_too_many_of_user);
        CHECK(no.text.find("2 clients of one user") != std::string::npos);
      }
      co_await works(leaves);
    }
    CHECK(l.clients() == 1);
    channel_pair next = co_await meet(lp, l);
    co_await works(next);
    co_await works(stays);
  });
}

TEST_CASE("a client that is not accepted yet counts for its user") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener l = listener::bind(lp, folder / "fair", at_most_per_user(1));
    channel client = co_await connect(lp, l.path());
    CHECK((co_await refused(lp, l.path())).code == errc::refused_too_many_of_user);
    channel_pair p(co_await l.accept(), std::move(client));
    co_await works(p);
  });
}

TEST_CASE("clients of one user leave room for those of another") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can become another user");
    return;
  }
  constexpr uid_t nobody = 65534;
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  on_a_loop([&](loop& lp) -> task<void> {
    listener_options options = at_most_per_user(1);
    options.for_all_users = true;
    listener l = listener::bind(lp, folder / "fair", options);
    channel_pair own = co_await meet(lp, l);
    child_process other([&] {
      if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) return 9;
      loop there;
      const channel first = there.run(connect(there, l.path()));
      return there.run(refused(there, l.path())).code == errc::refused_too_many_of_user ? 0 : 1;
    });
    const channel of_other = co_await l.accept();
    CHECK(of_other.peer().user == nobody);
    CHECK((co_await refused(lp, l.path())).code == errc::refused_too_many_of_user);
    co_await readable(other.pid_handle());
    CHECK(other.wait() == 0);
    co_await works(own);
  });
}

TEST_CASE("what is kept of users is no more than of those who were there at the same time") {
  detail::clients_by_user counts;
  const detail::client_count stays = counts.of(1);
  const auto all = std::make_shared<std::atomic<std::size_t>>(0);
  for (std::uint64_t user = 100; user < 1000; ++user) {
    detail::client_slot first(all, counts.of(user));
    const detail::client_slot second(all, counts.of(user));
    CHECK(*counts.of(user) == 2);
    first.release();
    CHECK(*counts.of(user) == 1);
    CHECK(counts.size() == 2);
  }
  CHECK(*all == 0);
  CHECK(counts.of(1) == stays);
}

TEST_CASE("a client of another user is seen as what it is, and wakes and is woken by the socket") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can become another user");
    return;
  }
  constexpr uid_t nobody = 65534;
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  const auto talk = [](channel ch) -> task<int> {
    if (ch.woken_by() != sys::bell_kind::socket || ch.wakes_peer_by() != sys::bell_kind::socket)
      co_return 2;
    for (int i = 0; i < 100; ++i) {
      co_await ch.send("ping");
      const auto m = co_await ch.recv();
      if (!m) co_return 3;
      if (i % 10 == 0) co_await sleep_for(1ms);
    }
    co_return 0;
  };
  for (const bool root_serves : {true, false}) {
    CAPTURE(root_serves);
    const std::string path = root_serves ? folder / "root" : folder / "nobody/socket";
    const auto serve = [&](loop& lp, listener& l, uid_t client) -> task<int> {
      channel ch = co_await l.accept();
      if (ch.peer().user != client) co_return 4;
      (void)lp;
      co_return co_await talk(std::move(ch));
    };
    const auto be_client = [&](loop& lp, uid_t server) -> task<int> {
      channel ch = co_await connect(lp, path);
      if (ch.peer().user != server) co_return 5;
      co_return co_await talk(std::move(ch));
    };
    listener_options options;
    options.for_all_users = true;
    if (!root_serves) {
      REQUIRE(::mkdir((folder / "nobody").c_str(), 0755) == 0);
      REQUIRE(::chown((folder / "nobody").c_str(), nobody, nobody) == 0);
    }
    const milestone listening;
    const pid_t child = start_child([&] {
      if (root_serves) listening.wait();
      if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) return 9;
      try {
        loop lp;
        if (root_serves) return lp.run(be_client(lp, 0));
        listener l = listener::bind(lp, path, options);
        return lp.run(serve(lp, l, 0));
      } catch (...) {
        return 8;
      }
    });
    {
      loop lp;
      if (root_serves) {
        listener l = listener::bind(lp, path, options);
        listening.reach();
        CHECK(lp.run(serve(lp, l, nobody)) == 0);
      } else {
        CHECK(lp.run(be_client(lp, nobody)) == 0);
      }
    }
    CHECK(wait_for(child) == 0);
  }
}

TEST_CASE("the statistics are refused to another user") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: becoming another user takes root");
    return;
  }
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0711) == 0);
  const std::string path = folder / "service";
  const milestone listening;
  child_process other([&] {
    listening.wait();
    constexpr unsigned nobody = 65534;
    if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) return 9;
    loop lp;
    return lp.run([](loop& on, const std::string& name) -> task<int> {
      client c = co_await client::connect(on, name);
      const auto refused = co_await error_of(c.call(service_frame::method_statistics));
      const payload p = co_await c.call(1, "x");
      co_return refused.first == errc::refused_unauthorized&& p.text() == "x" ? 0 : 2;
    }(lp, path));
  });
  on_a_loop([&](loop& lp) -> task<void> {
    server_options options;
    options.listening.for_all_users = true;
    const ringbell::server s(
        lp, path, [](request r) -> task<reply> { co_return reply(r.bytes()); }, options);
    listening.reach();
    CHECK(co_await holds_soon([&] { return poll_for(other.pid_handle(), POLLIN, 0ms); }));
  });
  CHECK(other.wait() == 0);
}

}  // TEST_SUITE("listener_users")
