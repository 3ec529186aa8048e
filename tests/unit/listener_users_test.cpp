// SPDX-License-Identifier: BSL-1.0
// How many clients one user may have.
#include <ringbell/detail/client_slot.hpp>
#include <ringbell/listener.hpp>
#include <ringbell/readiness.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <memory>

#include "support/channel_pair.hpp"
#include "support/child_process.hpp"

using namespace ringbell;
using namespace ringbell::test;

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

TEST_CASE("a client more than one user may have is refused, by that name and with the limit, until another one has left") {
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
    first.leave();
    CHECK(*counts.of(user) == 1);
    CHECK(counts.size() == 2);
  }
  CHECK(*all == 0);
  CHECK(counts.of(1) == stays);
}
