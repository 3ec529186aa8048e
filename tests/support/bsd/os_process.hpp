// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mach-o/dyld.h>
#include <poll.h>
#include <signal.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>

/// What tests ask of macOS about processes.
namespace ringbell::test {

/// Nobody is killed with its parent here: who runs the tests ends their process group.
inline void die_with_parent() {}

/// A descriptor that is readable once a child has ended: after the kernel has closed all that it
/// had open.
inline int descriptor_of_child(pid_t child) {
  const int queue = ::kqueue();
  struct kevent exits;
  EV_SET(&exits, static_cast<std::uintptr_t>(child), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, nullptr);
  if (queue >= 0 && ::kevent(queue, &exits, 1, nullptr, 0, nullptr) == 0) return queue;
  // It has ended already: the end of a pipe that nobody can write to is readable as well.
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("pipe failed");
  ::close(ends[1]);
  if (queue >= 0) ::close(queue);
  return ends[0];
}

/// This process is sent SIGKILL after that time (not 0; in steps of microseconds): wherever it then
/// is.
inline void be_killed_after(std::chrono::nanoseconds delay) {
  ::signal(SIGALRM, [](int) { ::kill(::getpid(), SIGKILL); });
  const auto microseconds = std::max<std::int64_t>(delay / std::chrono::microseconds(1), 1);
  itimerval when{};
  when.it_value.tv_sec = microseconds / 1'000'000;
  when.it_value.tv_usec = static_cast<suseconds_t>(microseconds % 1'000'000);
  if (::setitimer(ITIMER_REAL, &when, nullptr) != 0) throw std::runtime_error("no timer");
}

/// What poll(2) says, when asked for it, of a socket whose other end has hung up one half or all.
inline constexpr short peer_hung_up = POLLHUP;

/// Where root's services are when no runtime directory is set.
inline constexpr const char* root_services = "/var/run/ringbell";

/// What `ringbell doctor` looks at, among others.
inline constexpr std::initializer_list<const char*> seen_by_doctor{
    "kernel", "loop", "shared memory", "exchange", "CPUs", "open files", "parking"};

/// The file of this program.
inline std::string own_program() {
  char path[4096];
  std::uint32_t size = sizeof path;
  if (::_NSGetExecutablePath(path, &size) != 0)
    throw std::runtime_error("the path of this program is too long");
  return path;
}

/// Does nothing: nobody is bound to a processor here, and what is tested on one is tested on all
/// once more.
inline void stay_on_one_cpu() {}

}  // namespace ringbell::test
