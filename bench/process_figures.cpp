// SPDX-License-Identifier: BSL-1.0
#include "process_figures.hpp"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <system_error>

namespace ringbell::bench {

namespace {

/// The sum of the numbers that follow these names in a file with lines such as `VmPTE:   40 kB`.
template <class... Names>
std::int64_t read_sum(const std::string& file, const Names&... names) {
  std::ifstream in(file);
  std::int64_t sum = 0;
  std::string word;
  while (in >> word) {
    std::int64_t number = 0;
    if (((word == names) || ...) && in >> number) sum += number;
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return sum;
}

}  // namespace

process_figures process_figures::of(pid_t process) {
  const std::string folder = "/proc/" + std::to_string(process) + '/';
  process_figures f;
  f.threads = read_sum(folder + "status", "Threads:");
  f.page_table_kib = read_sum(folder + "status", "VmPTE:");
  f.proportional_kib = read_sum(folder + "smaps_rollup", "Pss:");
  f.private_kib = read_sum(folder + "smaps_rollup", "Private_Clean:", "Private_Dirty:");
  std::error_code error;
  const std::filesystem::directory_iterator descriptors(folder + "fd", error);
  if (!error) f.descriptors = std::distance(begin(descriptors), end(descriptors));
  return f;
}

kernel_figures kernel_figures::now() {
  kernel_figures f;
  f.slab_kib = read_sum("/proc/meminfo", "Slab:");
  f.stack_kib = read_sum("/proc/meminfo", "KernelStack:");
  return f;
}

double cpu_seconds(pid_t process) {
  clockid_t id{};
  timespec t{};
  if (::clock_getcpuclockid(process, &id) != 0 || ::clock_gettime(id, &t) != 0) return 0;
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

}  // namespace ringbell::bench
