// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/cpu.hpp>

#include "sys/park_cost.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>

namespace ringbell::sys {

namespace {

// The set of processors on which this thread may run. It grows until the kernel accepts its size,
// because a cpu_set_t ends at 1024.
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
  unsigned count() const noexcept {
    return size_ ? static_cast<unsigned>(CPU_COUNT_S(bytes_, set_.get())) : 0;
  }
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

}  // namespace

bool pin_this_thread(int cpu) noexcept {
  const auto size = static_cast<std::size_t>(cpu) + 1;
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> one(CPU_ALLOC(size),
                                                             [](cpu_set_t* set) { CPU_FREE(set); });
  if (!one) return false;
  CPU_ZERO_S(CPU_ALLOC_SIZE(size), one.get());
  CPU_SET_S(static_cast<std::size_t>(cpu), CPU_ALLOC_SIZE(size), one.get());
  return ::sched_setaffinity(0, CPU_ALLOC_SIZE(size), one.get()) == 0;
}

unsigned usable_cpus() noexcept { return std::max(affinity().count(), 1U); }

std::chrono::nanoseconds park_cost() noexcept {
  static const std::chrono::nanoseconds cost = [] {
    const affinity usable;
    const int first = usable.after(-1);
    return measure_park_cost(first, usable.after(first));
  }();
  return cost;
}

int only_cpu() noexcept {
  const affinity usable;
  return usable.count() == 1 ? usable.after(-1) : -1;
}

}  // namespace ringbell::sys
