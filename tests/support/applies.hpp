// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/ring/detail/park_fence.hpp>  // RINGBELL_UNDER_TSAN

#include <doctest/doctest.h>

/// Which test cases do not apply on a platform, and why. It is said beside the case:
///
///     TEST_CASE("a killed server leaves its socket" * not_on(windows, "a pipe leaves no file")) {
///
/// Such a case is skipped there, and the program prints its reason when the suite runs.
namespace ringbell::test {

/// The platform that the tests are compiled for. tests/meson.build passes one of these names as
/// RINGBELL_TEST_HOST. (`linux` cannot be a name: with -std=gnu++20 it is a macro.)
enum host : unsigned {
  plain_linux = 1,
  shim = 2,  ///< the sources of the BSDs, over kqueue_shim/ on Linux
  bsd = 4,   ///< a BSD other than macOS
  darwin = 8,
  windows = 16,
  thread_sanitizer = 32,  ///< on whichever of them, with that
  address_sanitizer = 64,
};

#if defined(__SANITIZE_ADDRESS__)
inline constexpr unsigned sanitizers = address_sanitizer;
#elif defined(RINGBELL_UNDER_TSAN)
inline constexpr unsigned sanitizers = thread_sanitizer;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr unsigned sanitizers = address_sanitizer;
#else
inline constexpr unsigned sanitizers = 0;
#endif
#else
inline constexpr unsigned sanitizers = 0;
#endif
inline constexpr unsigned here_and_now = RINGBELL_TEST_HOST | sanitizers;

/// A decorator for TEST_CASE and TEST_CASE_TEMPLATE. Hosts are combined by `|`.
class not_on {
public:
  constexpr not_on(unsigned hosts, const char* reason) : hosts_(hosts), reason_(reason) {}

  void fill(doctest::detail::TestCase& test) const {
    if ((hosts_ & here_and_now) == 0) return;
    test.m_skip = true;
    test.m_description = reason_;  // support/not_applying.hpp prints it
  }

private:
  unsigned hosts_;
  const char* reason_;
};

// What several cases need.

inline constexpr unsigned kqueue_hosts = shim | bsd | darwin;
inline constexpr unsigned other_loops = kqueue_hosts | windows;

inline constexpr not_on needs_eventfd(kqueue_hosts, "there is no eventfd");
inline constexpr not_on needs_exact_wakes(windows, "a pipe's event may wake it for nothing");
inline constexpr not_on needs_fast_round_trips(windows, "Wine makes too few round trips");
inline constexpr not_on needs_folders(windows, "the names of pipes have no folders");
inline constexpr not_on needs_fork(windows, "there is no fork");
inline constexpr not_on needs_kinds_of_bell(other_loops, "processes have one kind of bell only");
inline constexpr not_on needs_linux_loops(other_loops, "there is neither io_uring nor epoll");
inline constexpr not_on needs_memory_file(bsd | darwin, "shared memory is not a file");
inline constexpr not_on needs_scarce_handles(windows, "handles do not run out");
inline constexpr not_on needs_signals_at_once(
    thread_sanitizer, "signals wait there for a system call that the sanitizer knows");
inline constexpr not_on needs_socket_bell(windows, "bytes in a pipe are not a bell");

}  // namespace ringbell::test
