// SPDX-License-Identifier: BSL-1.0
// A million turns of a loop of awaited tasks that never suspend, then some of tasks that do, and a
// chain that is as long as few stacks are deep.
#include <ringbell/ringbell.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace ringbell;

constexpr int turns = 1'000'000;
constexpr int links = 100'000;

task<int> one(int i) { co_return i % 2; }
task<int> through(int i) { co_return co_await one(i); }
task<int> suspended(int i) {
  co_await yield();
  co_return i % 2;
}
task<int> failed(int i) {
  if (i % 2 == 0) throw std::system_error(errc::closed);
  co_return 1;
}
task<int> chain(int n) {
  if (n == 0) {
    co_await yield();
    co_return 0;
  }
  co_return 1 + co_await chain(n - 1);
}

task<bool> all() {
  std::int64_t sum = 0;
  for (int i = 0; i < turns; ++i) sum += co_await one(i);
  for (int i = 0; i < turns; ++i) sum += co_await through(i);
  for (int i = 0; i < turns / 10; ++i) sum += co_await suspended(i);
  for (int i = 0; i < turns / 10; ++i) sum += (co_await as_result(failed(i))).has_value() ? 1 : 0;
  for (int i = 0; i < turns / 10; ++i) sum += co_await timeout(std::chrono::hours(1), one(i));
  for (int i = 0; i < turns / 10; ++i)
    sum += (co_await when_any(one(i), one(i + 1))).index() == 0 ? 1 : 0;
  sum += co_await chain(links);
  co_return sum == turns + 3 * (turns / 20) + turns / 10 + links;
}

}  // namespace

int main() {
  loop lp;
  return lp.run(all()) ? EXIT_SUCCESS : EXIT_FAILURE;
}
