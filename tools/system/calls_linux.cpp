// SPDX-License-Identifier: BSL-1.0
#include "common/system_facts.hpp"
#include "system/calls.hpp"
#include "system/posix_calls.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>

namespace ringbell::tool {

const platform_words& platform() noexcept {
  static constexpr platform_words words{
      "auto|io_uring|epoll",
      "What to sleep in; auto: $RINGBELL_LOOP, else io_uring where it works, else epoll",
      "socket when it contains a slash", "Unix socket"};
  return words;
}

std::vector<int> usable_processors() {
  cpu_set_t all;
  CPU_ZERO(&all);
  ::sched_getaffinity(0, sizeof all, &all);
  std::vector<int> usable;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &all)) usable.push_back(cpu);
  return usable;
}

void bind_to_processor(int processor) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

// The threads of one core share its number here.
std::string impl_of(int processor) {
  return first_line(
      ("/sys/devices/system/cpu/cpu" + std::to_string(processor) + "/topology/thread_siblings_list")
          .c_str());
}

void end_with_parent() noexcept { ::prctl(PR_SET_PDEATHSIG, SIGKILL); }

void ask_for_exact_sleeps() noexcept { ::prctl(PR_SET_TIMERSLACK, 1); }

void sleep_until_blocking(std::chrono::steady_clock::time_point due) noexcept {
  const auto ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(due.time_since_epoch()).count();
  timespec when{};
  when.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
  when.tv_nsec = static_cast<long>(ns % 1'000'000'000);
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr) == EINTR) {}
}

long send_quietly(int socket, std::span<const std::byte> bytes, int flags) noexcept {
  return ::send(socket, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL);
}

int message_socket_type() noexcept { return SOCK_SEQPACKET; }

}  // namespace ringbell::tool
