// SPDX-License-Identifier: BSL-1.0
// Users that a user namespace lacks: the kernel shows each of them by the same id, which may be the
// own one.
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/detail/one_shot_event.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/server.hpp>
#include <ringbell/service/statistics.hpp>
#include <ringbell/sys/service_path.hpp>
#include <ringbell/sys/user_id.hpp>

#include <doctest/doctest.h>

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "support/channel_pair.hpp"
#include "support/child_process.hpp"
#include "support/service.hpp"

TEST_SUITE("user_namespace") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

constexpr uid_t overflow = 65534;

bool may_make_namespaces() {
  if (::geteuid() != 0) {
    MESSAGE("skipped: becoming another user takes root");
    return false;
  }
  if (run_in_child([] { return ::unshare(CLONE_NEWUSER) == 0 ? 0 : 1; }) == 0) return true;
  MESSAGE("skipped: there are no user namespaces here");
  return false;
}

int become(uid_t user) {
  return ::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0 ? -1 : 0;
}

/// Runs `f` in a child that is user 65534 in a user namespace of two users. The real one of that id
/// is 4100.
template <class F>
pid_t start_in_namespace(F f) {
  const milestone moved, mapped;
  const pid_t child = start_child([&] {
    if (::unshare(CLONE_NEWUSER) != 0) return 8;
    moved.reach();
    mapped.wait();
    return become(overflow) != 0 ? 9 : f();
  });
  moved.wait();
  const std::string of_child = "/proc/" + std::to_string(child);
  std::ofstream(of_child + "/setgroups") << "deny";
  for (const char* map : {"/uid_map", "/gid_map"})
    std::ofstream(of_child + map) << "0 4000 1\n65534 4100 1\n";
  mapped.reach();
  return child;
}

template <class F>
int run_as(uid_t user, F f) {
  return run_in_child([&] { return become(user) != 0 ? 9 : f(); });
}

/// A folder that all users reach.
struct open_folder : temporary_folder {
  open_folder() { REQUIRE(::chmod(path().c_str(), 0777) == 0); }
};

}  // namespace

TEST_CASE("an id stands for one user, but that of the users which a namespace lacks") {
  CHECK(sys::names_one_user(0));
  CHECK(sys::names_one_user(1000));
  CHECK(sys::is_current_user(sys::current_user()));
  if (!may_make_namespaces()) return;
  CHECK(wait_for(start_in_namespace([] {
          if (sys::current_user() != overflow || sys::is_current_user(overflow) ||
              sys::names_one_user(overflow))
            return 1;
          return sys::names_one_user(0) && sys::names_one_user(1000) ? 0 : 2;
        })) == 0);
}

TEST_CASE(
    "clients that a namespace's server cannot tell apart share no eventfd with it, and count each for itself") {
  if (!may_make_namespaces()) return;
  const open_folder folder;
  const std::string path = folder / "channels";
  const milestone listening;
  const pid_t inside = start_in_namespace([&] {
    listener_options options;
    options.for_all_users = true;
    options.max_clients_per_user = 1;
    loop lp;
    return lp.run([](loop& on, const std::string& name, const listener_options& o,
                     const milestone& ready) -> task<int> {
      listener l = listener::bind(on, name, o);
      ready.reach();
      std::vector<channel> clients;
      for (int i = 0; i < 3; ++i) {
        clients.push_back(co_await l.accept());
        if (clients.back().peer().user != overflow) co_return 2;
        if (clients.back().woken_by() != sys::bell_kind::socket ||
            clients.back().wakes_peer_by() != sys::bell_kind::socket)
          co_return 3;
        if (i > 0) co_await clients.back().recv();  // until it has gone
      }
      co_return 0;
    }(lp, path, options, listening));
  });
  listening.wait();
  CHECK(run_as(4300, [&] {
          loop lp;
          const channel first = lp.run(connect(lp, path));
          const channel second = lp.run(connect(lp, path));
          return 0;
        }) == 0);
  // The very user that the server runs as cannot be told from the others either.
  CHECK(run_as(4100, [&] {
          loop lp;
          const channel third = lp.run(connect(lp, path));
          return 0;
        }) == 0);
  CHECK(wait_for(inside) == 0);
}

TEST_CASE(
    "a service in a namespace does not tell its statistics to users that the namespace lacks") {
  if (!may_make_namespaces()) return;
  const open_folder folder;
  const std::string path = folder / "service";
  const milestone listening, asked;
  const pid_t inside = start_in_namespace([&] {
    server_options options;
    options.listening.for_all_users = true;
    loop lp;
    return lp.run([](loop& on, const std::string& name, const server_options& o,
                     const milestone& ready) -> task<int> {
      detail::one_shot_event over;
      const ringbell::server s(
          on, name,
          [&over](request r) -> task<reply> {
            over.set();
            co_return reply(r.bytes());
          },
          o);
      ready.reach();
      co_await over.wait();
      co_return 0;
    }(lp, path, options, listening));
  });
  listening.wait();
  CHECK(run_as(4300, [&] {
          loop lp;
          return lp.run([](loop& on, const std::string& name) -> task<int> {
            client c = co_await client::connect(on, name);
            const auto refused = co_await error_of(c.call(service_frame::method_statistics));
            (void)co_await error_of(c.call(1, "over"));
            co_return refused.first == errc::refused_unauthorized ? 0 : 4;
          }(lp, path));
        }) == 0);
  CHECK(wait_for(inside) == 0);
}

TEST_CASE(
    "in a namespace, a folder of names is one's own only when it is one's own outside as well") {
  if (!may_make_namespaces()) return;
  const open_folder folder;
  for (const uid_t owner : {uid_t{4100}, uid_t{4300}}) {
    CAPTURE(owner);
    const std::string runtime = folder / std::to_string(owner);
    for (const auto& [path, of] :
         {std::pair(runtime, uid_t{4100}), std::pair(runtime + "/ringbell", owner)}) {
      REQUIRE(::mkdir(path.c_str(), 0700) == 0);
      REQUIRE(::chown(path.c_str(), of, of) == 0);
    }
    CHECK(wait_for(start_in_namespace([&] {
            ::setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
            const std::error_code expected =
                owner == 4100 ? std::error_code() : errc::unsafe_directory;
            return sys::prepare_service_folder("name") == expected &&
                           sys::check_service_folder("name") == expected
                       ? 0
                       : 1;
          })) == 0);
  }
}

}  // TEST_SUITE("user_namespace")
