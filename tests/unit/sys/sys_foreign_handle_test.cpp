// SPDX-License-Identifier: BSL-1.0
// The thread that closes what peers sent.
#include <ringbell/sys/foreign_handle.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <doctest/doctest.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "support/applies.hpp"
#include "support/child_process.hpp"
#include "support/os_usage.hpp"

TEST_SUITE("sys_foreign_handle") {

using namespace ringbell::sys;
using namespace ringbell::test;

namespace {

struct pipe_ends {
  pipe_ends() {
    int fds[2];
    if (pipe_closed_on_exec(fds) != 0) ::_exit(97);
    read = handle(fds[0]);
    write = handle(fds[1]);
  }
  bool hung_up() const { return poll_for(read.get(), POLLHUP, std::chrono::milliseconds(0)); }
  handle read;
  handle write;
};

}  // namespace

// In a process of its own each: they count its threads.

TEST_CASE("there is no thread before something is to be closed, and one from then on" *
          not_on(thread_sanitizer, "the sanitizer has a thread of its own")) {
  CHECK(run_in_child([] {
          if (threads() != 1 || closing_elsewhere() != 0) return 1;
          for (int i = 0; i < 100; ++i) {
            pipe_ends p;
            { const foreign_handle from_peer(std::move(p.write)); }
            if (!eventually([&] { return p.hung_up() && closing_elsewhere() == 0; })) return 2;
            if (threads() != 2) return 3;
          }
          return 0;
        }) == 0);
}

TEST_CASE("what is trusted is closed at once, and starts no thread" *
          not_on(thread_sanitizer, "the sanitizer has a thread of its own")) {
  CHECK(run_in_child([] {
          pipe_ends p;
          foreign_handle from_peer(std::move(p.write));
          from_peer.trusted().reset();
          return p.hung_up() && threads() == 1 ? 0 : 1;
        }) == 0);
}

TEST_CASE("many threads have handles closed at the same time, and each is closed") {
  std::vector<std::thread> all;
  std::atomic<int> closed{0};
  for (int t = 0; t < 4; ++t)
    all.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        pipe_ends p;
        close_elsewhere(std::move(p.write));
        if (eventually([&] { return p.hung_up(); })) ++closed;
      }
    });
  for (std::thread& t : all) t.join();
  CHECK(closed == 800);
}

TEST_CASE("a forked child starts a thread of its own, and closes nothing of its parent's") {
  CHECK(run_in_child([] {
          pipe_ends first;
          close_elsewhere(std::move(first.write));
          if (!eventually([&] { return first.hung_up(); })) return 1;
          return run_in_child([] {
            if (threads() != 1 || closing_elsewhere() != 0) return 2;
            pipe_ends second;
            close_elsewhere(std::move(second.write));
            if (!eventually([&] { return second.hung_up(); })) return 3;
            return threads() == 2 ? 0 : 4;
          });
        }) == 0);
}

TEST_CASE("the thread is sent no signals") {
  CHECK(run_in_child([] {
          static pthread_t main_thread;
          static volatile sig_atomic_t elsewhere = 0;
          main_thread = ::pthread_self();
          ::signal(SIGUSR1, [](int) {
            if (!::pthread_equal(::pthread_self(), main_thread)) elsewhere = 1;
          });
          pipe_ends p;
          close_elsewhere(std::move(p.write));
          if (!eventually([&] { return p.hung_up(); })) return 1;
          for (int i = 0; i < 1000; ++i) ::kill(::getpid(), SIGUSR1);
          return static_cast<int>(elsewhere);
        }) == 0);
}

TEST_CASE("a process ends while its thread waits in a close" *
          not_on(address_sanitizer,
                 "its search for leaks wants to stop a thread that is just beginning")) {
  CHECK(run_in_child([] {
          // exit(), with its destructors, in the middle of it.
          for (int i = 0; i < 100; ++i) {
            pipe_ends p;
            close_elsewhere(std::move(p.write));
          }
          std::exit(0);
          return 1;
        }) == 0);
}

}  // TEST_SUITE("sys_foreign_handle")
