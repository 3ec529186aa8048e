// SPDX-License-Identifier: BSL-1.0
#include "usage_meter.hpp"

#include <linux/perf_event.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace ringbell::bench {

namespace {

/// The number of the tracepoint; 0 when it cannot be read.
std::uint64_t tracepoint() {
  std::uint64_t id = 0;
  for (const char* where : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    std::ifstream file(std::string(where) + "/events/raw_syscalls/sys_enter/id");
    if (file >> id) return id;
  }
  return 0;
}

int open_counter(std::uint64_t id, pid_t thread) {
  perf_event_attr wanted{};
  wanted.type = PERF_TYPE_TRACEPOINT;
  wanted.size = sizeof wanted;
  wanted.config = id;
  wanted.inherit = 1;
  return static_cast<int>(
      ::syscall(SYS_perf_event_open, &wanted, thread, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

call_counter::call_counter() {
  const std::uint64_t id = tracepoint();
  if (id == 0)
    throw std::runtime_error(
        "the tracepoint raw_syscalls:sys_enter cannot be read (needs tracefs, and root)");
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    const int fd = open_counter(id, static_cast<pid_t>(std::stol(task.path().filename().string())));
    const int error = errno;
    if (fd < 0 && error == ESRCH) continue;
    if (fd < 0) {
      for (const int opened : counters_) ::close(opened);
      throw std::system_error(error, std::generic_category(),
                              "perf_event_open (see kernel.perf_event_paranoid)");
    }
    counters_.push_back(fd);
  }
}

call_counter::~call_counter() {
  for (const int fd : counters_) ::close(fd);
}

std::int64_t call_counter::count() const {
  std::int64_t sum = 0;
  for (const int fd : counters_) {
    std::int64_t one = 0;
    if (::read(fd, &one, sizeof one) != sizeof one)
      throw std::system_error(errno, std::generic_category(), "reading a counter");
    sum += one;
  }
  return sum;
}

std::string call_counter::obstacle() {
  try {
    const call_counter tried;
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

usage_meter::usage_meter(const slice& s, const link& of) : of_(of) {
  static const bool can_count = call_counter::obstacle().empty();
  if (s.count_calls && can_count) calls_ = std::make_unique<call_counter>();
  // The link's own counts first: with many channels they take a while, which is no part of the
  // slice.
  const wake_counts wakes = of.wakes();
  before_ = time_so_far();
  before_.bells = wakes.bells;
  before_.parks = wakes.parks;
  if (calls_) calls_before_ = calls_->count();
}

usage usage_meter::used() const {
  const std::int64_t calls = calls_ ? calls_->count() : -1;
  usage used = time_so_far();
  used.cpu -= before_.cpu;
  used.switches -= before_.switches;
  const wake_counts wakes = of_.wakes();
  used.bells = wakes.bells >= 0 ? wakes.bells - before_.bells : -1;
  used.parks = wakes.parks >= 0 ? wakes.parks - before_.parks : -1;
  if (calls_) used.calls = calls - calls_before_ - calls_->own_calls();
  return used;
}

usage usage_meter::time_so_far() {
  usage now;
  timespec cpu{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  now.cpu = static_cast<double>(cpu.tv_sec) * 1e9 + static_cast<double>(cpu.tv_nsec);
  rusage kernel{};
  ::getrusage(RUSAGE_SELF, &kernel);
  now.switches = kernel.ru_nvcsw + kernel.ru_nivcsw;
  return now;
}

}  // namespace ringbell::bench
