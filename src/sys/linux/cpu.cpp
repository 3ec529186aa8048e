// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/cpu.hpp>

#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/quiet_thread.hpp>

#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <memory>
#include <thread>

namespace ringbell::sys {

namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using clock = std::chrono::steady_clock;

constexpr nanoseconds unknown_cost = 50us;
constexpr nanoseconds least_cost = 2us;
constexpr nanoseconds greatest_cost = 200us;
constexpr nanoseconds patience = 50ms;

// The processors that this thread may run on. Sized as the kernel wants it: cpu_set_t ends at 1024.
class affinity {
public:
  affinity() noexcept {
    constexpr int most = 1 << 20;
    for (int size = CPU_SETSIZE; size <= most; size *= 2) {
      set_.reset(CPU_ALLOC(static_cast<std::size_t>(size)));
      bytes_ = CPU_ALLOC_SIZE(static_cast<std::size_t>(size));
      if (set_ && ::sched_getaffinity(0, bytes_, set_.get()) == 0) {
        size_ = size;
        return;
      }
      if (!set_ || errno != EINVAL) return;
    }
  }
  unsigned count() const noexcept { return size_ ? static_cast<unsigned>(CPU_COUNT_S(bytes_, set_.get())) : 0; }
  /// The first usable processor after `cpu`; -1 when there is none.
  int after(int cpu) const noexcept {
    while (++cpu < size_)
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes_, set_.get())) return cpu;
    return -1;
  }

private:
  struct release {
    void operator()(cpu_set_t* set) const noexcept { CPU_FREE(set); }
  };
  std::unique_ptr<cpu_set_t, release> set_;
  std::size_t bytes_ = 0;
  int size_ = 0;
};

bool pin_this_thread(int cpu) noexcept {
  const auto size = static_cast<std::size_t>(cpu) + 1;
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> one(CPU_ALLOC(size), [](cpu_set_t* set) { CPU_FREE(set); });
  if (!one) return false;
  CPU_ZERO_S(CPU_ALLOC_SIZE(size), one.get());
  CPU_SET_S(static_cast<std::size_t>(cpu), CPU_ALLOC_SIZE(size), one.get());
  return ::sched_setaffinity(0, CPU_ALLOC_SIZE(size), one.get()) == 0;
}

// Two threads on two processors, waking each other in turn: while one wakes the other, it goes to sleep itself. Threads of our own,
// because pinning the caller's would show outside.
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

  // A side moves whenever the turn has its parity.
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

  // Half of the median round trip, in which each side woke once. The median because the first trips find the other not yet asleep, and
  // some meet an interrupt.
  nanoseconds cost() noexcept {
    if (trip_count_ == 0) return unknown_cost;
    nanoseconds* const middle = trips_.data() + trip_count_ / 2;
    std::nth_element(trips_.data(), middle, trips_.data() + trip_count_);
    return std::clamp(*middle / 2, least_cost, greatest_cost);
  }

  futex_word turn_{0};
  const clock::time_point deadline_ = clock::now() + patience;
  std::array<nanoseconds, rounds> trips_{};
  std::size_t trip_count_ = 0;
};

nanoseconds measure_park_cost() noexcept {
  const affinity usable;
  const int first = usable.after(-1);
  const int second = usable.after(first);
  if (second < 0) return unknown_cost;
  try {
    return ping_pong().measure(first, second);
  } catch (const std::exception&) {
    return unknown_cost;
  }
}

}  // namespace

unsigned usable_cpus() noexcept { return std::max(affinity().count(), 1U); }

nanoseconds park_cost() noexcept {
  static const nanoseconds cost = measure_park_cost();
  return cost;
}

int only_cpu() noexcept {
  const affinity usable;
  return usable.count() == 1 ? usable.after(-1) : -1;
}

}  // namespace ringbell::sys
