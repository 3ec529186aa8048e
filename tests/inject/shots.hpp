// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "inject/injector.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace ringbell::test {

/// Something that a program does with the library, from its first call to the last destructor. Its
/// names are in `folder`. It ends by itself, in order or with an exception, and within `patience`
/// where nothing is lost: what it waits for has no time limits of its own.
using scenario = std::function<void(const std::string& folder)>;

/// Runs a scenario again and again in child processes. In each one call of it fails, another one
/// each time. Checks that the scenario ends in order or with an error that says something; that no
/// descriptor is left, nor a mapping; and that afterwards the scenario works in the same process.
/// Of all calls that could fail a sample, or all of them with a large RINGBELL_TEST_TURNS.
///
/// `usual`: how large the sample is. `first_of_each`: the first call of each kind, and several in a
/// row, are tried as well.
///
/// RINGBELL_TEST_INJECT=NAME:NUMBER:ERRNO[:TIMES] tries one call only.
void let_each_call_fail(const scenario& run, std::uint64_t usual = 60, bool first_of_each = true);

}  // namespace ringbell::test
