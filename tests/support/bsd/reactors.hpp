// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "loop/reactor.hpp"

#include <ringbell/sys/handle.hpp>

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "support/descriptors.hpp"
#include "support/poll.hpp"

namespace ringbell::test {

using namespace ringbell::detail;

// The reactor of macOS and the BSDs; also over the shim, when it has all of their system layer.
struct kqueue_set {
  static std::unique_ptr<reactor> make() {
    std::error_code error;
    auto made = make_kqueue_reactor(error);
    REQUIRE_MESSAGE(made, error.message());
    return made;
  }
};

#define RINGBELL_REACTORS kqueue_set

/// Whether a signal takes a moment from the handle to the reactor.
inline constexpr bool signals_take_a_moment = false;

/// By how much the pollable handle may be early: no timer here is.
inline constexpr std::chrono::nanoseconds early_timers{0};

/// What a reactor may leave open in the system's own pools.
inline constexpr int handles_of_pools = 0;

/// A number that no open handle has.
inline constexpr sys::native_handle no_handle = 1'000'000'000;

/// A pipe: there are no eventfds.
class event_handle {
public:
  event_handle() {
    int ends[2] = {-1, -1};
    REQUIRE(pipe_closed_on_exec(ends) == 0);
    do_not_block(ends);
    reading_ = sys::handle(ends[0]);
    writing_ = sys::handle(ends[1]);
  }
  sys::native_handle get() const noexcept { return reading_.get(); }
  void reset() noexcept {
    reading_.reset();
    writing_.reset();
  }
  /// A pipe that is full is emptied first, so that there is something new in it.
  void signal() const {
    while (::write(writing_.get(), "", 1) < 0 && errno == EAGAIN) {
      char some[4096];
      while (::read(reading_.get(), some, sizeof some) > 0) {}
    }
  }

private:
  sys::handle reading_, writing_;
};

/// A handle that can be made ready, and that is from the beginning when it is `set`. It stays so:
/// no watch takes the signal.
inline event_handle make_event(bool set = false) {
  event_handle made;
  if (set) made.signal();
  return made;
}

/// One that is ready, and stays so.
inline event_handle make_lasting_event() { return make_event(true); }

inline void signal_bell(const event_handle& event) { event.signal(); }

/// Makes a handle ready again, of which a watch has taken the signal: nothing is to be done.
inline void keep_ready(const event_handle&) {}

/// Whether a handle is readable within that time.
inline bool is_readable(sys::native_handle h, std::chrono::milliseconds limit = {}) {
  return readable_within(h, limit);
}

/// As many as the process may have, up to `wanted`. Each takes two descriptors.
inline std::vector<event_handle> many_events(std::size_t wanted) {
  constexpr std::size_t of_others = 64;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 2 * wanted + of_others);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return std::vector<event_handle>(
      std::min<std::size_t>(wanted, (static_cast<std::size_t>(limit.rlim_cur) - of_others) / 2));
}

}  // namespace ringbell::test
