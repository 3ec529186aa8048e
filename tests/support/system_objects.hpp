// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/region.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <system_error>

/// Objects of the system's, without whose creation a test is over.
namespace ringbell::test {

inline sys::event_bell make_bell() {
  std::error_code error;
  sys::event_bell made = sys::event_bell::create(error);
  REQUIRE_FALSE(error);
  REQUIRE(made);
  return made;
}

inline sys::region make_region(std::size_t bytes) {
  std::error_code error;
  sys::region made = sys::region::create(bytes, error);
  REQUIRE_FALSE(error);
  REQUIRE(made);
  return made;
}

}  // namespace ringbell::test
