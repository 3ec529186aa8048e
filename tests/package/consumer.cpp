// SPDX-License-Identifier: BSL-1.0
// A user of the installed library: one task on a loop.
#include <ringbell/ringbell.hpp>

namespace {

ringbell::task<int> answer() { co_return 42; }

}  // namespace

int main() {
  ringbell::loop lp;
  return lp.run(answer()) == 42 && ringbell::version() == RINGBELL_VERSION ? 0 : 1;
}
