// SPDX-License-Identifier: BSL-1.0
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "support/child_process.hpp"
#include "support/not_applying.hpp"

#include <cwchar>

// A child process of a test is this program, told so by its first argument: there is no fork.
int main(int argc, char** argv) {
  const wchar_t* const line = ::GetCommandLineW();
  if (const wchar_t* const found = std::wcsstr(line, ringbell::test::child_detail::flag))
    return ringbell::test::child_detail::run(found +
                                             std::wcslen(ringbell::test::child_detail::flag));
  return doctest::Context(argc, argv).run();
}
