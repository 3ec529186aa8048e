// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"

namespace ringbell::tool {

int run_bench(const std::vector<std::string>&) {
  complain("the benchmarks run on Linux only; 'ringbell demo' measures here");
  return exit_failure;
}

}  // namespace ringbell::tool
