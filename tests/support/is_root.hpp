// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <unistd.h>

namespace ringbell::test {

/// Whether a test can play several users; prints that it is skipped where it cannot.
inline bool is_root() {
  if (::geteuid() == 0) return true;
  MESSAGE("skipped: only root can play several users");
  return false;
}

}  // namespace ringbell::test
