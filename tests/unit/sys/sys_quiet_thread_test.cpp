// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/quiet_thread.hpp>

#include <doctest/doctest.h>

#include <pthread.h>
#include <signal.h>

TEST_SUITE("sys_quiet_thread") {

using namespace ringbell::sys;

namespace {

sigset_t blocked_here() {
  sigset_t set;
  sigemptyset(&set);
  ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
  return set;
}

}  // namespace

TEST_CASE(
    "a quiet thread has blocked what others may send it, and not what tells of a fault of its own") {
  sigset_t there;
  quiet_thread([&] { there = blocked_here(); }).join();
  for (const int sent : {
#ifdef SIGRTMIN
           SIGRTMIN,
#endif
           SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM, SIGPIPE}) {
    CAPTURE(sent);
    CHECK(sigismember(&there, sent) == 1);
  }
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) {
    CAPTURE(fault);
    CHECK(sigismember(&there, fault) == 0);
  }
}

TEST_CASE("whoever starts a quiet thread has the same signals blocked afterwards as before") {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR2);
  sigset_t before;
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &one, &before) == 0);
  quiet_thread([] {}).join();
  const sigset_t after = blocked_here();
  CHECK(sigismember(&after, SIGUSR2) == 1);
  CHECK(sigismember(&after, SIGUSR1) == sigismember(&before, SIGUSR1));
  CHECK(sigismember(&after, SIGTERM) == sigismember(&before, SIGTERM));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // TEST_SUITE("sys_quiet_thread")
