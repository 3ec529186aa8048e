// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/bell.hpp>

#include <vector>

namespace ringbell::test {

/// Of the kinds of bells that any loop can wait for, those that this system has between processes;
/// the one that is preferred comes first.
inline std::vector<sys::bell_kind> bells_here() {
  std::vector<sys::bell_kind> kinds;
  for (const auto kind : {sys::bell_kind::eventfd, sys::bell_kind::socket})
    if ((sys::system_bells() & sys::bell_bit(kind)) != 0) kinds.push_back(kind);
  return kinds;
}

}  // namespace ringbell::test
