// SPDX-License-Identifier: BSL-1.0
#include "sys/park_cost.hpp"

#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/quiet_thread.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>

namespace ringbell::sys {

namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using clock = std::chrono::steady_clock;

constexpr nanoseconds least_cost = 2us;
constexpr nanoseconds greatest_cost = 200us;
constexpr nanoseconds patience = 50ms;

// Two threads on two processors wake each other in turn: a thread that has woken the other goes to
// sleep itself. The threads are our own, because pinning the caller's thread would have visible
// effects.
class ping_pong {
public:
  nanoseconds measure(int cpu_of_ping, int cpu_of_pong) {
    std::thread pong = quiet_thread([&, cpu_of_pong] { run(cpu_of_pong, odd); });
    try {
      std::thread ping = quiet_thread([&, cpu_of_ping] { run(cpu_of_ping, even); });
      ping.join();
    } catch (const std::exception&) {
      give_up();
    }
    pong.join();
    return cost();
  }

private:
  static constexpr std::uint32_t rounds = 20;
  static constexpr std::uint32_t over = ~std::uint32_t{0};
  enum side : std::uint32_t { even, odd };

  // A side moves when the turn has its parity.
  void run(int cpu, side mine) noexcept {
    if (!pin_this_thread(cpu)) return give_up();
    auto before = clock::now();
    for (std::uint32_t turn = mine; turn < 2 * rounds; turn += 2) {
      if (!await(turn)) return;
      if (mine == even) {
        const auto now = clock::now();
        if (turn > 0) trips_[trip_count_++] = now - before;
        before = now;
      }
      auto expected = turn;
      if (!turn_.compare_exchange_strong(expected, turn + 1, std::memory_order_acq_rel)) return;
      futex_wake(turn_, 1, futex_scope::private_);
    }
  }

  bool await(std::uint32_t turn) noexcept {
    for (std::uint32_t seen; (seen = turn_.load(std::memory_order_acquire)) != turn;) {
      if (seen == over) return false;
      if (futex_wait(turn_, seen, futex_scope::private_, deadline_)) {
        give_up();
        return false;
      }
    }
    return true;
  }

  void give_up() noexcept {
    turn_.store(over, std::memory_order_release);
    futex_wake(turn_, 2, futex_scope::private_);
  }

  // Half of the median round trip, in which each side woke once. It is the median because in the
  // first trips the other side is not yet asleep, and some trips meet an interrupt.
  nanoseconds cost() noexcept {
    if (trip_count_ == 0) return unknown_park_cost;
    nanoseconds* const middle = trips_.data() + trip_count_ / 2;
    std::nth_element(trips_.data(), middle, trips_.data() + trip_count_);
    return std::clamp(*middle / 2, least_cost, greatest_cost);
  }

  futex_word turn_{0};
  const clock::time_point deadline_ = clock::now() + patience;
  std::array<nanoseconds, rounds> trips_{};
  std::size_t trip_count_ = 0;
};

}  // namespace

nanoseconds measure_park_cost(int first_cpu, int second_cpu) noexcept {
  if (first_cpu < 0 || second_cpu < 0) return unknown_park_cost;
  try {
    return ping_pong().measure(first_cpu, second_cpu);
  } catch (const std::exception&) {
    return unknown_park_cost;
  }
}

}  // namespace ringbell::sys
