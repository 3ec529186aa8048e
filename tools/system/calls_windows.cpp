// SPDX-License-Identifier: BSL-1.0
#include "system/calls.hpp"

#include <windows.h>
// After it:
#include <timeapi.h>

#include <atomic>
#include <csignal>
#include <thread>

namespace ringbell::tool {

const platform_words& platform() noexcept {
  static constexpr platform_words words{"auto|iocp",
                                        "What to sleep in; auto: $RINGBELL_LOOP, else iocp",
                                        "pipe when it begins with '\\\\.\\pipe\\'", "named pipe"};
  return words;
}

std::optional<sys::native_handle> passed_socket() { return std::nullopt; }
void tell_service_manager(const char*) {}

std::vector<int> usable_processors() {
  DWORD_PTR allowed = 0, there = 0;
  std::vector<int> usable;
  if (!::GetProcessAffinityMask(::GetCurrentProcess(), &allowed, &there)) return usable;
  for (int cpu = 0; cpu < static_cast<int>(8 * sizeof allowed); ++cpu)
    if (allowed >> cpu & 1) usable.push_back(cpu);
  return usable;
}

void bind_to_processor(int processor) noexcept {
  ::SetProcessAffinityMask(::GetCurrentProcess(), DWORD_PTR{1} << processor);
}

// Which processors are threads of the same core.
std::string impl_of(int processor) {
  SYSTEM_LOGICAL_PROCESSOR_INFORMATION all[256];
  DWORD bytes = sizeof all;
  if (!::GetLogicalProcessorInformation(all, &bytes)) return {};
  for (DWORD i = 0; i < bytes / sizeof all[0]; ++i)
    if (all[i].Relationship == RelationProcessorCore && (all[i].ProcessorMask >> processor & 1))
      return std::to_string(all[i].ProcessorMask);
  return {};
}

void end_with_parent() noexcept {}  // demo/process_windows.cpp: by a job

// The clock's ticks are milliseconds then, and not 15.
void ask_for_exact_sleeps() noexcept { ::timeBeginPeriod(1); }

void sleep_until_blocking(std::chrono::steady_clock::time_point due) noexcept {
  std::this_thread::sleep_until(due);
}

std::uint64_t processor_time_ns() noexcept {
  FILETIME created, ended, kernel, user;
  if (!::GetProcessTimes(::GetCurrentProcess(), &created, &ended, &kernel, &user)) return 0;
  const auto hundreds = [](const FILETIME& t) {
    return std::uint64_t{t.dwHighDateTime} << 32 | t.dwLowDateTime;
  };
  return (hundreds(kernel) + hundreds(user)) * 100;
}

std::initializer_list<int> ending_signals() noexcept {
  static constexpr std::initializer_list<int> all{SIGINT, SIGTERM, SIGBREAK};
  return all;
}

std::initializer_list<int> stopping_signals() noexcept { return ending_signals(); }

void allow_many_descriptors() noexcept {}  // a process may have 16 million

std::optional<std::string> run_apart(const std::function<std::string()>& f, int&) { return f(); }

std::tm calendar_time(std::time_t seconds) noexcept {
  std::tm parts{};
  ::gmtime_s(&parts, &seconds);
  return parts;
}

struct own_names::state {
  std::string prefix;
};

own_names::own_names() : state_(new state) {
  static std::atomic<unsigned> count{0};
  LARGE_INTEGER now;
  ::QueryPerformanceCounter(&now);
  state_->prefix = R"(\\.\pipe\ringbell-own-)" + std::to_string(::GetCurrentProcessId()) + '-' +
                   std::to_string(now.QuadPart) + '-' + std::to_string(++count);
}
own_names::~own_names() { delete state_; }
std::string own_names::operator/(const char* name) const { return state_->prefix + '-' + name; }
std::string own_names::place() { return "a named pipe"; }
void own_names::let_signals_through() const noexcept {}

}  // namespace ringbell::tool
