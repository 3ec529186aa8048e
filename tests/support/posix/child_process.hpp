// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/os_process.hpp"
#include "support/process.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringbell::test {

/// Fails a test, in whichever process it is: throws.
inline void expect(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string("expected ") + what);
}

/// Whether the descriptor shows one of `events` within that time.
inline bool poll_for(int fd, short events, std::chrono::milliseconds limit) {
  pollfd p{fd, events, 0};
  int n;
  while ((n = ::poll(&p, 1, static_cast<int>(limit.count()))) < 0 && errno == EINTR) {}
  return n > 0;
}

/// What waiting for a process gives that was killed.
inline constexpr int killed = 1000 + SIGKILL;

/// A forked process that runs a function, whose value is its exit status; an exception is 90, with
/// a message. Killed and reaped at the latest by the destructor, and by the kernel when this
/// process dies.
class child_process {
public:
  /// Runs `role(arguments...)`, where arguments are plain values, strings, milestones or shared
  /// objects: Windows, which has no fork, can do that as well.
  template <class... P, class... A>
  explicit child_process(int (*role)(P...), const A&... arguments)
      : child_process([&] { return role(arguments...); }) {}
  template <class F>
  explicit child_process(F f) {
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    pid_ = fork_patiently();
    if (pid_ == 0) {
      die_with_parent();
      ::_exit(::getppid() == parent ? run(f) : 91);
    }
    pid_handle_ = descriptor_of_child(pid_);
  }
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;
  ~child_process() {
    kill();
    reap();
    ::close(pid_handle_);
  }

  pid_t id() const noexcept { return pid_; }
  /// Readable once the process has ended: after the kernel has closed all that it had open.
  int pid_handle() const noexcept { return pid_handle_; }
  void kill() noexcept {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
  }
  /// The exit status, or 1000 + the signal that ended it. A process that takes longer than `limit`
  /// is killed: 1009.
  int wait(std::chrono::seconds limit = patience) noexcept {
    if (!poll_for(pid_handle_, POLLIN, limit)) {
      std::fprintf(stderr, "process %d takes too long, and is killed\n", static_cast<int>(pid_));
      kill();
    }
    return reap();
  }

private:
  template <class F>
  static int run(F& f) noexcept {
    try {
      return f();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "process %d: %s\n", static_cast<int>(::getpid()), e.what());
      return 90;
    }
  }
  int reap() noexcept { return pid_ > 0 ? wait_for(std::exchange(pid_, -1)) : -1; }

  pid_t pid_ = -1;
  int pid_handle_ = -1;
};

/// A `T` that this process shares with those that it forks, and that outlives them.
template <class T>
class shared_object {
public:
  shared_object() {
    void* const memory =
        ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    object_ = new (memory) T();
  }
  shared_object(const shared_object&) = delete;
  shared_object& operator=(const shared_object&) = delete;
  ~shared_object() { ::munmap(object_, sizeof(T)); }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }

private:
  T* object_;
};

}  // namespace ringbell::test
