// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/loop_pool.hpp>

#include <ringbell/loop/detail/loop_access.hpp>
#include <ringbell/sys/cpu.hpp>
#include <ringbell/sys/quiet_thread.hpp>

namespace ringbell {

loop_pool::loop_pool(std::size_t threads, loop_options options) {
  if (threads == 0) threads = sys::usable_cpus();
  loops_.reserve(threads);
  threads_.reserve(threads);
  // The loops are made on this thread, one after the other, so that an error can be thrown to the
  // caller. A ring belongs to the thread that first enters it.
  while (loops_.size() < threads) {
    loops_.push_back(std::make_unique<loop>(options));
    // The next loop might choose another one, when descriptors or memory have become scarce.
    options.backend = detail::backend_named(loops_.front()->backend_name());
  }
  try {
    for (const auto& lp : loops_) threads_.push_back(sys::quiet_thread([&on = *lp] { on.run(); }));
  } catch (...) {
    stop();
    join();
    throw;
  }
}

loop_pool::~loop_pool() {
  stop();
  join();
  // Destroying work of one loop may post to another, so all loops exist until nothing is left on
  // any of them.
  bool any = true;
  while (any) {
    any = false;
    for (const auto& lp : loops_) any |= detail::loop_access::discard(*lp);
  }
}

void loop_pool::stop() noexcept {
  stopped_.store(true, std::memory_order_release);
  for (const auto& lp : loops_) lp->stop();
}

void loop_pool::join() {
  for (std::thread& t : threads_)
    if (t.joinable()) t.join();
}

}  // namespace ringbell
