// SPDX-License-Identifier: BSL-1.0
#include <ringbell/as_result.hpp>
#include <ringbell/loop_pool.hpp>
#include <ringbell/signals.hpp>
#include <ringbell/sleep.hpp>
#include <ringbell/timeout.hpp>
#include <ringbell/when_any.hpp>

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>

using namespace ringbell;
using namespace std::chrono_literals;

namespace {

bool is_blocked(int signal) {
  sigset_t now;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return sigismember(&now, signal) == 1;
}

task<int> raise_and_wait(int signal) {
  task<int> wait = signalled(SIGUSR1, SIGUSR2);
  ::raise(signal);
  co_return co_await std::move(wait);
}

// A server that works until it is told to end; tells its parent when it can be told.
task<void> serve(int ready) {
  auto ended = when_any(signalled(SIGTERM, SIGINT), sleep_for(60s));
  if (::write(ready, "r", 1) != 1) ::_exit(2);
  const auto first = co_await std::move(ended);
  if (first.index() != 0) ::_exit(3);
}

}  // namespace

TEST_CASE("a signal of the set is told by its number") {
  loop lp;
  CHECK(lp.run(raise_and_wait(SIGUSR1)) == SIGUSR1);
  CHECK(lp.run(raise_and_wait(SIGUSR2)) == SIGUSR2);
}

TEST_CASE("signals are blocked from the call on, and unblocked after the wait") {
  CHECK_FALSE(is_blocked(SIGUSR1));
  {
    const task<int> waiting = signalled(SIGUSR1);
    CHECK(is_blocked(SIGUSR1));
    CHECK_FALSE(is_blocked(SIGUSR2));
  }
  CHECK_FALSE(is_blocked(SIGUSR1));
}

TEST_CASE("a signal that was blocked before stays blocked") {
  sigset_t usr1;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &usr1, nullptr);
  { const signal_set set({SIGUSR1}); }
  CHECK(is_blocked(SIGUSR1));
  ::pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
}

TEST_CASE("between two waits of a signal_set no signal is lost") {
  const auto coroutine = []() -> task<void> {
    signal_set set({SIGUSR1, SIGUSR2});
    ::raise(SIGUSR1);
    CHECK(co_await set.next() == SIGUSR1);
    ::raise(SIGUSR2);
    co_await sleep_for(1ms);
    CHECK(co_await set.next() == SIGUSR2);
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE("a cancelled wait leaves the signal to the next") {
  const auto coroutine = []() -> task<void> {
    signal_set set({SIGUSR1});
    const result<int> r = co_await as_result(timeout(1ms, set.next()));
    CHECK(r.error() == errc::timed_out);
    ::raise(SIGUSR1);
    CHECK(co_await timeout(10s, set.next()) == SIGUSR1);
  };
  loop lp;
  lp.run(coroutine());
}

TEST_CASE("what is no signal number is refused") {
  CHECK_THROWS_AS(signal_set({0}), std::system_error);
  CHECK_THROWS_AS(signal_set({SIGUSR1, 1000}), std::system_error);
  CHECK_FALSE(is_blocked(SIGUSR1));
}

TEST_CASE("a program that gets SIGTERM while it sleeps ends in order") {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    try {
      loop lp;
      lp.run(serve(ready[1]));
    } catch (...) {
      ::_exit(4);
    }
    ::_exit(0);
  }
  ::close(ready[1]);
  char c = 0;
  CHECK(::read(ready[0], &c, 1) == 1);
  CHECK(::kill(child, SIGTERM) == 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  ::close(ready[0]);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a pool's threads have signals blocked, and the thread that made the pool has none more than before") {
  const bool before = is_blocked(SIGTERM);
  loop_pool pool(2);
  CHECK(is_blocked(SIGTERM) == before);
  for (std::size_t i = 0; i < pool.size(); ++i) {
    std::promise<bool> there;
    auto blocked = there.get_future();
    pool[i].post([&] { there.set_value(is_blocked(SIGTERM) && is_blocked(SIGINT)); });
    REQUIRE(blocked.wait_for(20s) == std::future_status::ready);
    CHECK(blocked.get());
  }
}
