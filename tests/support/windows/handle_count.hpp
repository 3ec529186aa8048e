// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <windows.h>

#include <cstdint>

namespace ringbell::test {

/// How many handles there are for which `is_open(handle)`. Each number is tried, which takes long
/// under Wine, until none of several hundred is one: handles are numbered densely. Wine does not
/// count them, and its server crashes now and then when it is asked for the system's list of
/// handles.
template <class F>
int count_handles(F is_open) {
  constexpr int longest_gap = 256;
  int count = 0;
  int gap = 0;
  for (std::uintptr_t value = 4; gap < longest_gap; value += 4) {
    if (is_open(reinterpret_cast<HANDLE>(value))) {
      ++count;
      gap = 0;
    } else {
      ++gap;
    }
  }
  return count;
}

}  // namespace ringbell::test
