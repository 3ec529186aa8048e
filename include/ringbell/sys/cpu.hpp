// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <chrono>

namespace ringbell::sys {

/// The number of processors on which this thread may run now: its affinity mask, not the size of
/// the machine.
unsigned usable_cpus() noexcept;
/// The processor to which this thread is bound. It is -1 when the thread may run on several
/// processors, and on macOS and the BSDs.
int only_cpu() noexcept;

/// The time that it takes to sleep and be woken by another processor: 2 to 200 us. The first call
/// measures it between two threads of its own, which takes a millisecond or two, and at most 50 on
/// a very busy machine. The process keeps the value. It is 50 us when it cannot be measured: there
/// is no second processor, no thread can be started, or the system is macOS or a BSD.
/// Thread-safety: any thread; a second caller waits for the first.
std::chrono::nanoseconds park_cost() noexcept;

/// Tells the processor that this is a spin loop.
inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

}  // namespace ringbell::sys
