// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

namespace ringbell::test {

/// A system call that the library makes, or the operator new: how often this process has made it,
/// and with which errors it may fail on a machine that is short of something.
struct injected_call {
  const char* name;
  std::span<const int> errors;
  std::atomic<std::uint64_t> made{0};
};

/// Lets calls of this process fail, as if the kernel had refused them: they are not made. A program
/// that has injector.cpp calls these in place of the C library's, of liburing's, and of the
/// operator new. Thread-safety: any thread makes calls; one turns this on and off.
namespace injector {

/// All calls, in no particular order.
std::span<injected_call* const> calls() noexcept;
/// Counts from 0 what is made from now on, and fails nothing.
void count() noexcept;
/// The same, and lets the `nth` call (from 1), and `times - 1` after it, fail with `error`.
void fail(const injected_call& call, std::uint64_t nth, int error,
          std::uint64_t times = 1) noexcept;
/// From now on nothing is counted, and nothing fails.
void off() noexcept;

}  // namespace injector

}  // namespace ringbell::test
