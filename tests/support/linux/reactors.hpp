// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "loop/reactors.hpp"

#include <ringbell/sys/handle.hpp>

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace ringbell::test {

using namespace ringbell::detail;

// The reactors of Linux: io_uring as new, middle-aged and old kernels have it, and epoll; and that
// of macOS and the BSDs.
template <std::size_t Skip>
struct io_uring_ring {
  static std::unique_ptr<reactor> make() {
    std::error_code error;
    std::string why_not;
    auto made = make_io_uring_reactor(error, why_not, Skip);
    if (!made) MESSAGE("skipped: " << why_not);
    return made;
  }
};
using io_uring_deferred = io_uring_ring<0>;
using io_uring_cooperative = io_uring_ring<1>;
using io_uring_plain = io_uring_ring<2>;

struct epoll_set {
  static std::unique_ptr<reactor> make() {
    std::error_code error;
    auto made = make_epoll_reactor(error);
    REQUIRE_MESSAGE(made, error.message());
    return made;
  }
};

// Over the shim, where the library was built with it.
struct kqueue_set {
  static std::unique_ptr<reactor> make() {
    for (const reactor_kind& kind : reactor_kinds()) {
      std::error_code error;
      std::string why_not;
      if (kind.backend != loop_backend::kqueue) continue;
      auto made = kind.make(error, why_not);
      REQUIRE_MESSAGE(made, error.message());
      return made;
    }
    MESSAGE("skipped: built without -Dkqueue_shim=loop");
    return nullptr;
  }
};

#define RINGBELL_IO_URINGS io_uring_deferred, io_uring_cooperative, io_uring_plain
#define RINGBELL_REACTORS RINGBELL_IO_URINGS, epoll_set, kqueue_set

/// Whether a signal takes a moment from the handle to the reactor.
inline constexpr bool signals_take_a_moment = false;

/// By how much the pollable handle may be early: no timer here is.
inline constexpr std::chrono::nanoseconds early_timers{0};

/// What a reactor may leave open in the system's own pools.
inline constexpr int handles_of_pools = 0;

/// A number that no open handle has.
inline constexpr sys::native_handle no_handle = 1'000'000'000;

using event_handle = sys::handle;

/// A handle that can be made ready, and that is from the beginning when it is `set`. It stays so:
/// no watch takes the signal.
inline sys::handle make_event(bool set = false) {
  sys::handle h(::eventfd(set ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK));
  REQUIRE(h);
  return h;
}

/// One that is ready, and stays so.
inline sys::handle make_lasting_event() { return make_event(true); }

inline void signal_bell(const sys::handle& h) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(h.get(), &one, sizeof(one));
}

/// Makes a handle ready again, of which a watch has taken the signal: nothing is to be done.
inline void keep_ready(const sys::handle&) {}

struct socket_pair {
  socket_pair() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    near = sys::handle(fds[0]);
    far = sys::handle(fds[1]);
  }
  sys::handle near, far;
};

inline short poll_now(sys::native_handle h, short events, int milliseconds = 0) {
  pollfd p{h, events, 0};
  int result;
  do result = ::poll(&p, 1, milliseconds);
  while (result < 0 && errno == EINTR);
  return result > 0 ? p.revents : short{0};
}

/// Whether a handle is readable, and nothing else, within that time.
inline bool is_readable(sys::native_handle h, std::chrono::milliseconds limit = {}) {
  return poll_now(h, POLLIN, static_cast<int>(limit.count())) == POLLIN;
}

// A child process that is killed and reaped at the end of the test.
class child {
public:
  explicit child(const std::function<void()>& body) : pid_(fork_patiently()) {
    if (pid_ == 0) {
      body();
      ::syscall(SYS_exit_group, 0);
    }
    REQUIRE(pid_ > 0);
  }
  ~child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      join();
    }
  }
  int join() {
    int status = -1;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
    pid_ = -1;
    return status;
  }
  void kill() { ::kill(pid_, SIGKILL); }

private:
  pid_t pid_;
};

// As many eventfds as the process may have, up to `wanted`.
inline std::vector<sys::handle> many_events(std::size_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t allowed = std::min<std::size_t>(wanted, limit.rlim_cur - 64);
  std::vector<sys::handle> events;
  events.reserve(allowed);
  while (events.size() < allowed) events.push_back(make_event());
  return events;
}

}  // namespace ringbell::test
