// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/process.hpp"

// What the programs of this folder have in common.
namespace ringbell::test::matrix {

/// Ends the program when something is not as expected.
inline void check(bool as_expected, const char* what) {
  if (as_expected) return;
  std::fprintf(stderr, "not as expected: %s\n", what);
  std::exit(1);
}

/// A name for a service of this process.
class service_name {
public:
  operator std::string() const { return folder_ / "service"; }
  std::string nobody() const { return folder_ / "nobody"; }

private:
  temporary_folder folder_;
};

/// What a program prints before it ends well, for the line of its row.
inline void note(const std::string& text) { std::printf("note: %s\n", text.c_str()); }

}  // namespace ringbell::test::matrix
