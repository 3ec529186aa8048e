// SPDX-License-Identifier: BSL-1.0
#include <ringbell/errors.hpp>
#include <ringbell/sys/cpu.hpp>
#include <ringbell/sys/quiet_thread.hpp>
#include <ringbell/sys/signal_handle.hpp>

#include "support/windows_objects.hpp"

#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <initializer_list>
#include <ostream>
#include <utility>

TEST_SUITE("sys_windows_process") {

using namespace std::chrono_literals;
using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;

namespace {

signal_handle listen_for(std::initializer_list<int> signals) {
  std::error_code error;
  signal_handle made = signal_handle::create(std::span(signals.begin(), signals.size()), error);
  REQUIRE_FALSE(error);
  return made;
}

}  // namespace

TEST_CASE("a thread bound to one processor has one to use, now") {
  const unsigned before = usable_cpus();
  CHECK(before >= 1);
  GROUP_AFFINITY all{};
  REQUIRE(::GetThreadGroupAffinity(::GetCurrentThread(), &all));
  const DWORD_PTR was = ::SetThreadAffinityMask(::GetCurrentThread(), 1);
  REQUIRE(was != 0);
  CHECK(usable_cpus() == 1);
  CHECK(only_cpu() == all.Group * 64);
  ::SetThreadAffinityMask(::GetCurrentThread(), was);
  CHECK(usable_cpus() == before);
}

TEST_CASE(
    "the cost of parking is plausible, measured only once, and measuring leaves the caller's affinity alone") {
  const unsigned before = usable_cpus();
  const auto cost = park_cost();
  CHECK(cost >= 2us);
  CHECK(cost <= 200us);
  CHECK(park_cost() == cost);
  CHECK(usable_cpus() == before);
}

TEST_CASE("a quiet thread runs what it was given") {
  bool ran = false;
  quiet_thread([&] { ran = true; }).join();
  CHECK(ran);
}

TEST_CASE("a signal of the set is told by its number, once") {
  signal_handle signals = listen_for({SIGINT, SIGTERM});
  CHECK_FALSE(is_signalled(signals.native()));
  CHECK(signals.take().error() == errc::would_block);
  std::raise(SIGTERM);
  CHECK(is_signalled(signals.native()));
  std::raise(SIGINT);
  std::raise(SIGINT);
  CHECK(signals.take().value() == SIGINT);
  CHECK(is_signalled(signals.native()));
  CHECK(signals.take().value() == SIGTERM);
  CHECK(signals.take().error() == errc::would_block);
  CHECK_FALSE(is_signalled(signals.native()));
}

TEST_CASE("all who listen for a signal are told, and each only of its own") {
  signal_handle first = listen_for({SIGINT});
  signal_handle second = listen_for({SIGINT, SIGBREAK});
  signal_handle moved = std::move(first);
  CHECK_FALSE(first);
  std::raise(SIGINT);
  std::raise(SIGBREAK);
  CHECK(moved.take().value() == SIGINT);
  CHECK(moved.take().error() == errc::would_block);
  CHECK(second.take().value() == SIGINT);
  CHECK(second.take().value() == SIGBREAK);
}

TEST_CASE("after the last handle a signal has its usual effect again") {
  std::signal(SIGTERM, SIG_DFL);
  {
    const signal_handle first = listen_for({SIGTERM});
    { const signal_handle second = listen_for({SIGTERM}); }
    std::raise(SIGTERM);  // the first is still there
  }
  const auto was = std::signal(SIGTERM, SIG_DFL);
  CHECK((was == SIG_DFL));
}

TEST_CASE("after the last handle a signal has the effect again that the program had given it") {
  static int raised;
  raised = 0;
  std::signal(SIGTERM, [](int) { ++raised; });
  {
    const signal_handle twice = listen_for({SIGTERM, SIGTERM});
    { const signal_handle second = listen_for({SIGTERM}); }
    std::raise(SIGTERM);
  }
  CHECK(raised == 0);
  std::raise(SIGTERM);
  CHECK(raised == 1);
  std::signal(SIGTERM, SIG_DFL);
}

TEST_CASE("what is no signal, or none that Windows sends, is an invalid argument") {
  for (const int wrong : {0, -1, 64, 1000, SIGSEGV}) {
    CAPTURE(wrong);
    std::error_code error;
    const signal_handle none = signal_handle::create(std::array{SIGINT, wrong}, error);
    CHECK(error == std::errc::invalid_argument);
    CHECK_FALSE(none);
  }
  CHECK((std::signal(SIGINT, SIG_DFL) == SIG_DFL));
}

}  // TEST_SUITE("sys_windows_process")
