// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/detail/scheduler.hpp>

#include <ringbell/coro/detail/resident.hpp>

#include <utility>

namespace ringbell::detail {

namespace {

thread_local scheduler* running_here = nullptr;

}  // namespace

scheduler* scheduler_access::current() noexcept { return running_here; }
scheduler* scheduler_access::exchange_current(scheduler* s) noexcept {
  return std::exchange(running_here, s);
}
void scheduler_access::add_resident(scheduler& s, resident& item) noexcept {
  s.residents_.push_back(item);
}

}  // namespace ringbell::detail
