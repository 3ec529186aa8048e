// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <initializer_list>
#include <stdexcept>
#include <string>

/// What tests ask of Linux about processes; support/bsd/ has the same for macOS.
namespace ringbell::test {

/// Has the kernel kill this process when the one that forked it dies.
inline void die_with_parent() { ::prctl(PR_SET_PDEATHSIG, SIGKILL); }

/// A descriptor that is readable once a child has ended: after the kernel has closed all that it
/// had open.
inline int descriptor_of_child(pid_t child) {
  return static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
}

/// The kernel sends this process SIGKILL after that time (not 0): wherever it then is.
inline void be_killed_after(std::chrono::nanoseconds delay) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  timer_t timer{};
  itimerspec when{};
  when.it_value.tv_sec = delay / std::chrono::seconds(1);
  when.it_value.tv_nsec = (delay % std::chrono::seconds(1)).count();
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
      ::timer_settime(timer, 0, &when, nullptr) != 0)
    throw std::runtime_error("no timer");
}

/// What poll(2) says, when asked for it, of a socket whose other end has hung up one half or all.
inline constexpr short peer_hung_up = POLLRDHUP;

/// Where root's services are when no runtime directory is set.
inline constexpr const char* root_services = "/run/ringbell";

/// What `ringbell doctor` looks at, among others.
inline constexpr std::initializer_list<const char*> seen_by_doctor{
    "kernel", "io_uring", "loop", "sealed memory", "exchange", "CPUs", "open files", "parking"};

/// The file of this program.
inline std::string own_program() { return "/proc/self/exe"; }

/// Lets this process, and those that it forks, run on one processor only.
inline void stay_on_one_cpu() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_ZERO(&allowed);
    CPU_SET(cpu, &allowed);
    if (::sched_setaffinity(0, sizeof allowed, &allowed) != 0)
      throw std::runtime_error("expected to be pinned to one processor");
    return;
  }
}

}  // namespace ringbell::test
