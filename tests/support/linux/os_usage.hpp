// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

/// What tests ask of Linux about what processes use; support/bsd/ has the same for macOS.
namespace ringbell::test {

namespace usage_detail {

inline int files_in(const std::string& folder) {
  const std::filesystem::directory_iterator all(folder);
  return static_cast<int>(std::distance(begin(all), end(all)));
}

/// How many lines a file has with `text` in them.
inline int lines_with(const char* file, const char* text) {
  std::ifstream lines(file);
  std::string line;
  int count = 0;
  while (std::getline(lines, line))
    if (line.find(text) != std::string::npos) ++count;
  return count;
}

}  // namespace usage_detail

/// What the system has counted for a process of one thread.
struct usage {
  std::int64_t sleeps = 0;  ///< voluntary context switches
  std::chrono::nanoseconds cpu{0};
  /// In what steps `cpu` grows, where they are coarse.
  static constexpr std::chrono::nanoseconds cpu_step{0};

  static usage of(pid_t process) {
    const std::string folder = "/proc/" + std::to_string(process);
    usage u;
    std::ifstream status(folder + "/status");
    std::string word;
    while (status >> word)
      if (word == "voluntary_ctxt_switches:") status >> u.sleeps;
    std::int64_t nanoseconds = 0;
    std::ifstream(folder + "/schedstat") >> nanoseconds;
    u.cpu = std::chrono::nanoseconds(nanoseconds);
    return u;
  }
  friend usage operator-(const usage& a, const usage& b) {
    return {a.sleeps - b.sleeps, a.cpu - b.cpu};
  }
};

/// Whether a process of one thread sleeps.
inline bool asleep(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/stat");
  std::string id, name, state;
  status >> id >> name >> state;
  return state == "S";
}

/// How many threads this process has.
inline int threads() { return usage_detail::files_in("/proc/self/task"); }

/// How many descriptors another process of this user has open.
inline int descriptors_of(pid_t process) {
  return usage_detail::files_in("/proc/" + std::to_string(process) + "/fd");
}

/// The memory of this process.
struct memory_use {
  std::int64_t mappings = 0;  ///< of any kind
  std::int64_t regions = 0;   ///< of shared memory of channels, and of io_uring
  std::int64_t resident_kib = 0;

  static memory_use now() {
    memory_use m;
    m.mappings = usage_detail::lines_with("/proc/self/maps", "");
    m.regions = usage_detail::lines_with("/proc/self/maps", "memfd:ringbell") +
                usage_detail::lines_with("/proc/self/maps", "io_uring");
    std::ifstream pages("/proc/self/statm");
    std::int64_t size = 0;
    pages >> size >> m.resident_kib;
    m.resident_kib *= ::sysconf(_SC_PAGESIZE) / 1024;
    return m;
  }
};

/// From now on the kernel kills this process when it starts a thread or a process. False when it
/// may not filter its system calls.
inline bool forbid_threads() {
  std::vector<sock_filter> filter{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const long number : {
#ifdef SYS_clone3
           SYS_clone3,
#endif
#ifdef SYS_fork
           SYS_fork, SYS_vfork,
#endif
           SYS_clone}) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace ringbell::test
