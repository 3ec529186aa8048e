// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <chrono>

namespace ringbell::sys {

/// How many processors this thread may run on now (its affinity mask, not the machine's size).
unsigned usable_cpus() noexcept;
/// The processor that this thread is bound to; -1 when it may run on several, and on macOS and the
/// BSDs.
int only_cpu() noexcept;

/// What it costs to sleep and be woken by another processor: 2 to 200 us. Measured between two
/// threads of its own on the first call (a millisecond or two; at most 50 on a very busy machine)
/// and remembered for the process. 50 us when it cannot be measured: no second processor, no
/// threads to be had, macOS or BSD. Thread-safety: any thread; who comes second waits for the
/// first.
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
