// SPDX-License-Identifier: BSL-1.0
#include "processors.hpp"

#include <sched.h>
#include <cerrno>
#include <cstddef>
#include <system_error>

namespace ringbell::bench {

namespace {

void bind_to(const cpu_set_t& set) {
  if (::sched_setaffinity(0, sizeof set, &set) != 0)
    throw std::system_error(errno, std::generic_category(), "binding a process to a processor");
}

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  bind_to(set);
}

}  // namespace

const processors& processors::allowed() {
  static const processors found = [] {
    processors p;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0)
      throw std::system_error(errno, std::generic_category(), "asking for the processors");
    int count = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; ++cpu)
      if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) (count++ == 0 ? p.first : p.second) = cpu;
    return p;
  }();
  return found;
}

void pin_parent() { pin(processors::allowed().first); }

void pin_child(placement where) {
  pin(where == placement::two ? processors::allowed().second : processors::allowed().first);
}

void unpin() {
  const processors& p = processors::allowed();
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(p.first), &set);
  if (p.second >= 0) CPU_SET(static_cast<std::size_t>(p.second), &set);
  bind_to(set);
}

}  // namespace ringbell::bench
