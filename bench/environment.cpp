// SPDX-License-Identifier: BSL-1.0
#include "environment.hpp"

#include "common/system_facts.hpp"
#include "processors.hpp"
#include "usage_meter.hpp"

#include <ringbell/version.hpp>

#include <unistd.h>

#ifdef RINGBELL_WITH_ASIO
#include <ringbell/asio/config.hpp>
#endif

namespace ringbell::bench {

namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

std::string pinning() {
  const processors& p = processors::allowed();
  std::string text = "the measuring process on processor " + std::to_string(p.first);
  if (p.second >= 0)
    text += ", the answering one on " + std::to_string(p.second) +
            ", or on the same where both share one; threads of peers' libraries on either";
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> describe_environment(
    const contender_list& contenders) {
  std::string governor = tool::first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  std::vector<std::pair<std::string, std::string>> all = {
      {"ringbell", RINGBELL_VERSION},
      {"cpu", tool::cpu_model()},
      {"processors", std::to_string(::sysconf(_SC_NPROCESSORS_ONLN))},
      {"kernel", tool::kernel_release()},
      {"governor", governor.empty() ? "the kernel shows none" : governor},
      {"compiler", compiler()},
      {"pinning", pinning()},
      {"load", tool::first_line("/proc/loadavg")},
  };
#ifdef RINGBELL_WITH_ASIO
  all.emplace_back("asio", std::to_string(RINGBELL_ASIO_VERSION / 100000) + '.' +
                               std::to_string(RINGBELL_ASIO_VERSION / 100 % 1000) + '.' +
                               std::to_string(RINGBELL_ASIO_VERSION % 100));
#endif
  const std::string obstacle = call_counter::obstacle();
  all.emplace_back("system calls", obstacle.empty() ? "counted by raw_syscalls:sys_enter"
                                                    : "not counted: " + obstacle);
  for (const auto& [name, version] : contenders.versions) all.emplace_back(name, version);
  return all;
}

}  // namespace ringbell::bench
