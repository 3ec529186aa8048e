// SPDX-License-Identifier: BSL-1.0
#pragma once

// Each has the list of its system's reactors, RINGBELL_REACTORS, and what they can watch.
#if defined(_WIN32)
#include "support/windows/reactors.hpp"
#elif defined(__linux__) && !defined(RINGBELL_TEST_OVER_SHIM)
#include "support/linux/reactors.hpp"
#else
#include "support/bsd/reactors.hpp"
#endif

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>

#include "support/patience.hpp"

/// What the tests of reactors have in common. Each case of reactor_test.cpp and
/// reactor_wait_test.cpp runs on all reactors of the system.
namespace ringbell::test {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

struct recorder final : event_sink {
  recorder() = default;
  explicit recorder(std::function<void()> f) : then(std::move(f)) {}
  void on_event(std::uint32_t events) noexcept override {
    ++count;
    seen |= events;
    if (then) then();
  }
  int count = 0;
  std::uint32_t seen = 0;
  std::function<void()> then;
};

// Waits until a condition holds; false when it does not for too long.
template <class Condition>
bool wait_until(reactor& r, Condition holds) {
  const auto deadline = clock_type::now() + patience;
  while (!holds()) {
    if (clock_type::now() >= deadline) return false;
    r.wait(deadline);
  }
  return true;
}

// Delivers as a foreign loop does: sleeps on the pollable handle, and then asks the reactor.
template <class Condition>
bool poll_until(reactor& r, Condition holds) {
  const auto deadline = clock_type::now() + patience;
  while (!holds()) {
    if (clock_type::now() >= deadline) return false;
    r.arm(deadline);
    is_readable(r.pollable(), patience);
    r.poll();
  }
  return true;
}

// Delivers what is there, until nothing is.
inline std::size_t drain(reactor& r) {
  std::size_t events = 0;
  while (const std::size_t n = r.wait(reactor::time_point::min())) events += n;
  return events;
}

// Likewise, and waits for signals that are on their way: one that was given before is there when
// another one has come back.
inline void settle(reactor& r) {
  if constexpr (signals_take_a_moment) {
    const auto last = make_event(true);
    recorder sink;
    watch_key key;
    REQUIRE_FALSE(r.watch(last.get(), event_read, watch_mode::once, sink, key));
    REQUIRE(wait_until(r, [&] { return sink.count == 1; }));
  }
  drain(r);
}

// How far a thread has come with its rings, and how far they were heard.
struct rings {
  std::atomic<int> rung{0}, heard{0};
  std::atomic<bool> over{false};
  void hear() { heard = rung.load(); }
};

// A thread that rings so many times, each time after the last ring was heard. It yields meanwhile:
// on one processor there would be nobody else to hear.
class ringer {
public:
  ringer(const event_handle& bell, rings& r, int times)
      : rings_(r), thread_([&bell, &r, times] {
          for (int i = 1; i <= times && !r.over; ++i) {
            r.rung = i;
            signal_bell(bell);
            while (r.heard != i && !r.over) std::this_thread::yield();
          }
        }) {}
  ringer(const ringer&) = delete;
  ringer& operator=(const ringer&) = delete;
  ~ringer() {
    rings_.over = true;
    thread_.join();
  }

private:
  rings& rings_;
  std::thread thread_;
};

}  // namespace ringbell::test
