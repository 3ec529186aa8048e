// SPDX-License-Identifier: BSL-1.0
#include <ringbell/errors.hpp>
#include <ringbell/sys/futex.hpp>

#include "support/applies.hpp"
#include "support/patience.hpp"
#include "support/process.hpp"

#include <doctest/doctest.h>

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <ostream>
#include <thread>
#include <vector>

TEST_SUITE("sys_futex") {

using namespace std::chrono_literals;
using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;
using std::chrono::steady_clock;

namespace {

constexpr auto here = futex_scope::private_;
futex_deadline soon() { return steady_clock::now() + 20ms; }
futex_deadline far() { return steady_clock::now() + patience; }

// How many sleep on a word of this process. Moving the sleepers from a word to the same word counts
// them and changes nothing.
long sleepers(const futex_word& word) {
  return ::syscall(SYS_futex, &word, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 0,
                   static_cast<long>(INT_MAX), &word, 0);
}
bool asleep_on(const futex_word& word) {
  return eventually([&] { return sleepers(word) == 1; });
}

std::atomic<int> interruptions{0};

// A handler that makes waits return EINTR: without SA_RESTART.
struct interrupting_signal {
  interrupting_signal() {
    struct sigaction action{};
    action.sa_handler = [](int) { interruptions.fetch_add(1); };
    ::sigaction(SIGUSR1, &action, &before_);
  }
  ~interrupting_signal() { ::sigaction(SIGUSR1, &before_, nullptr); }
  void interrupt(std::thread& thread) const {
    const int seen = interruptions.load();
    ::pthread_kill(thread.native_handle(), SIGUSR1);
    CHECK(eventually([&] { return interruptions.load() > seen; }));
  }

private:
  struct sigaction before_{};
};

futex_target target(const futex_word& word, std::uint32_t expected) {
  return {&word, expected, here};
}

}  // namespace

TEST_CASE("a wait on a word that differs returns at once") {
  const futex_word word{1};
  CHECK_FALSE(futex_wait(word, 0, here));
}

TEST_CASE("a wait ends at its deadline, and not before") {
  const futex_word word{0};
  const auto deadline = soon();
  CHECK(futex_wait(word, 0, here, deadline) == errc::timed_out);
  CHECK(steady_clock::now() >= deadline);
}

TEST_CASE("a deadline in the past, even before the clock began, times out at once") {
  const futex_word word{0};
  CHECK(futex_wait(word, 0, here, steady_clock::now() - 1s) == errc::timed_out);
  CHECK(futex_wait(word, 0, here, futex_deadline::min()) == errc::timed_out);
}

TEST_CASE("a wake ends a wait although the word has not changed") {
  futex_word word{0};
  std::error_code outcome = errc::busy;
  std::thread sleeper([&] { outcome = futex_wait(word, 0, here); });
  CHECK(asleep_on(word));
  CHECK(futex_wake(word, 1, here) == 1);
  sleeper.join();
  CHECK_FALSE(outcome);
}

TEST_CASE("a wake without sleepers wakes nobody") {
  const futex_word word{0};
  CHECK(futex_wake(word, INT_MAX, here) == 0);
}

TEST_CASE("a wake ends as many waits as it was told, not more") {
  futex_word word{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { (void)futex_wait(word, 0, here); });
  CHECK(eventually([&] { return sleepers(word) == 3; }));
  CHECK(futex_wake(word, 2, here) == 2);
  CHECK(sleepers(word) == 1);
  CHECK(futex_wake(word, INT_MAX, here) == 1);
  for (std::thread& t : threads) t.join();
}

TEST_CASE("only a wake that shares a bit ends a wait") {
  futex_word word{0};
  std::thread sleeper([&] { (void)futex_wait(word, 0, here, no_deadline, 0b0110); });
  CHECK(asleep_on(word));
  CHECK(futex_wake(word, 1, here, 0b1001) == 0);
  CHECK(sleepers(word) == 1);
  CHECK(futex_wake(word, 1, here, 0b1100) == 1);
  sleeper.join();
}

TEST_CASE("a wait for no bit is an invalid argument") {
  const futex_word word{0};
  CHECK(futex_wait(word, 0, here, soon(), 0) == std::errc::invalid_argument);
}

TEST_CASE("a word that is not mapped is a bad address") {
  void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  REQUIRE(::munmap(page, 4096) == 0);
  CHECK(futex_wait(*static_cast<futex_word*>(page), 0, here, soon()) == std::errc::bad_address);
}

TEST_CASE("a wait goes on after a signal, until it is woken" * needs_signals_at_once) {
  const interrupting_signal signal;
  futex_word word{0};
  std::error_code outcome = errc::busy;
  // With a deadline, as without one the kernel itself would restart the wait.
  std::thread sleeper([&] { outcome = futex_wait(word, 0, here, far()); });
  for (int i = 0; i < 5; ++i) {
    CHECK(asleep_on(word));
    signal.interrupt(sleeper);
  }
  CHECK(asleep_on(word));
  CHECK(futex_wake(word, 1, here) == 1);
  sleeper.join();
  CHECK_FALSE(outcome);
}

TEST_CASE("signals do not move a deadline" * needs_signals_at_once) {
  const interrupting_signal signal;
  futex_word word{0};
  std::atomic<bool> done{false};
  const auto deadline = steady_clock::now() + 50ms;
  std::error_code outcome;
  std::thread sleeper([&] {
    outcome = futex_wait(word, 0, here, deadline);
    done = true;
  });
  // Each one would grant another 50 ms, if the time-out were relative.
  while (!done) {
    signal.interrupt(sleeper);
    ::usleep(1000);
  }
  sleeper.join();
  CHECK(outcome == errc::timed_out);
  CHECK(steady_clock::now() >= deadline);
}

TEST_CASE("a shared word wakes a waiter in another process") {
  void* const page =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  auto& word = *static_cast<futex_word*>(page);
  const pid_t child =
      start_child([&] { return futex_wait(word, 0, futex_scope::shared, far()) ? 1 : 0; });
  CHECK(eventually([&] { return futex_wake(word, 1, futex_scope::shared) == 1; }));
  CHECK(wait_for(child) == 0);
  ::munmap(page, 4096);
}

TEST_CASE("a wait on several words tells which one was woken" *
          doctest::skip(!has_futex_wait_any())) {
  std::array<futex_word, 3> words{};
  for (std::size_t woken = 0; woken < words.size(); ++woken) {
    std::size_t index = 99;
    std::error_code outcome = errc::busy;
    std::thread sleeper([&] {
      const std::array targets{target(words[0], 0), target(words[1], 0), target(words[2], 0)};
      outcome = futex_wait_any(targets, index, far());
    });
    CHECK(asleep_on(words[woken]));
    CHECK(futex_wake(words[woken], 1, here) == 1);
    sleeper.join();
    CHECK_FALSE(outcome);
    CHECK(index == woken);
  }
}

TEST_CASE("a wait on several words tells which one differs" *
          doctest::skip(!has_futex_wait_any())) {
  const futex_word a{0};
  const futex_word b{7};
  const std::array targets{target(a, 0), target(b, 6)};
  std::size_t index = 99;
  CHECK_FALSE(futex_wait_any(targets, index));
  CHECK(index == 1);
}

TEST_CASE("a wait on several words ends at its deadline" * doctest::skip(!has_futex_wait_any())) {
  const futex_word a{0};
  const futex_word b{7};
  const std::array targets{target(a, 0), target(b, 7)};
  std::size_t index = 99;
  const auto deadline = soon();
  CHECK(futex_wait_any(targets, index, deadline) == errc::timed_out);
  CHECK(steady_clock::now() >= deadline);
}

TEST_CASE("a wait on several words goes on after a signal" * doctest::skip(!has_futex_wait_any()) *
          needs_signals_at_once) {
  const interrupting_signal signal;
  futex_word word{0};
  std::size_t index = 99;
  std::error_code outcome = errc::busy;
  std::thread sleeper([&] {
    const std::array targets{target(word, 0)};
    outcome = futex_wait_any(targets, index, far());
  });
  for (int i = 0; i < 5; ++i) {
    CHECK(asleep_on(word));
    signal.interrupt(sleeper);
  }
  CHECK(asleep_on(word));
  CHECK(futex_wake(word, 1, here) == 1);
  sleeper.join();
  CHECK_FALSE(outcome);
  CHECK(index == 0);
}

TEST_CASE("private and shared words can be waited on together" *
          doctest::skip(!has_futex_wait_any())) {
  void* const page =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  auto& shared = *static_cast<futex_word*>(page);
  futex_word local{0};
  std::size_t index = 99;
  std::thread sleeper([&] {
    const std::array targets{target(local, 0), futex_target{&shared, 0, futex_scope::shared}};
    (void)futex_wait_any(targets, index, far());
  });
  CHECK(asleep_on(local));
  CHECK(run_in_child([&] {
          return eventually([&] { return futex_wake(shared, 1, futex_scope::shared) == 1; }) ? 0
                                                                                             : 1;
        }) == 0);
  sleeper.join();
  CHECK(index == 1);
  ::munmap(page, 4096);
}

TEST_CASE("up to 128 words can be waited on, no more and no fewer than one" *
          doctest::skip(!has_futex_wait_any())) {
  const futex_word word{0};
  std::size_t index = 99;
  const std::vector<futex_target> targets(129, target(word, 0));
  CHECK(futex_wait_any({targets.data(), 128}, index, soon()) == errc::timed_out);
  CHECK(futex_wait_any({targets.data(), 129}, index, soon()) == std::errc::invalid_argument);
  CHECK(futex_wait_any({}, index, soon()) == std::errc::invalid_argument);
}

static constexpr const char* without_waitv = "in a process of its own: futex_waitv is missing";
TEST_CASE(without_waitv* doctest::skip()) {
  const futex_word word{0};
  const std::array targets{target(word, 0)};
  std::size_t index = 99;
  CHECK_FALSE(has_futex_wait_any());
  CHECK(futex_wait_any(targets, index, soon()) == errc::not_supported);
  CHECK(futex_wait(word, 0, here, soon()) == errc::timed_out);
}

TEST_CASE("a kernel without futex_waitv is not_supported, and the rest works") {
  const int status = run_test_case_in_fresh_process(without_waitv, [] {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 449, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{4, program};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
      ::_exit(77);
  });
  if (status == 77) MESSAGE("skipped: no seccomp here");
  CHECK((status == 0 || status == 77));
}

}  // TEST_SUITE("sys_futex")
