// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/cpu.hpp>

#include "support/process.hpp"

#include <doctest/doctest.h>

#include <sched.h>
#include <signal.h>

#include <cstring>
#include <ostream>
#include <thread>

TEST_SUITE("sys_cpu") {

using namespace std::chrono_literals;
using namespace ringbell::sys;
using namespace ringbell::test;

namespace {

cpu_set_t affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  return set;
}

void use_only_this_cpu() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
  ::sched_setaffinity(0, sizeof one, &one);
}

}  // namespace

TEST_CASE("the usable processors are those of the affinity mask") {
  const cpu_set_t set = affinity();
  CHECK(usable_cpus() == static_cast<unsigned>(CPU_COUNT(&set)));
}

TEST_CASE("a thread bound to one processor has one to use, now") {
  unsigned seen = 0;
  std::thread([&] {
    use_only_this_cpu();
    seen = usable_cpus();
  }).join();
  CHECK(seen == 1);
}

TEST_CASE("the cost of parking is plausible and measured only once") {
  const auto cost = park_cost();
  MESSAGE("parking costs " << std::chrono::duration<double, std::micro>(cost).count()
                           << " us here");
  CHECK(cost >= 2us);
  CHECK(cost <= 200us);
  CHECK(park_cost() == cost);
}

TEST_CASE("spinning pauses") { ringbell::sys::pause(); }

static constexpr const char* leaves_no_trace = "in a process of its own: measuring";
TEST_CASE(leaves_no_trace* doctest::skip()) {
  const cpu_set_t cpus = affinity();
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR2);
  ::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
  const int descriptors = open_descriptors();

  CHECK(park_cost() <= 200us);

  const cpu_set_t after = affinity();
  CHECK(CPU_EQUAL(&cpus, &after));
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  CHECK(::sigismember(&mask, SIGUSR2) == 1);
  CHECK(::sigismember(&mask, SIGUSR1) == 0);
  CHECK(open_descriptors() == descriptors);
}

TEST_CASE("measuring changes neither the caller's affinity nor its signal mask") {
  CHECK(run_test_case_in_fresh_process(leaves_no_trace, [] {}) == 0);
}

static constexpr const char* cannot_measure =
    "in a process of its own: the cost cannot be measured";
TEST_CASE(cannot_measure* doctest::skip()) { CHECK(park_cost() == 50us); }

TEST_CASE("with one usable processor the cost of parking is 50 us") {
  CHECK(run_test_case_in_fresh_process(cannot_measure, use_only_this_cpu) == 0);
}

}  // TEST_SUITE("sys_cpu")
