// SPDX-License-Identifier: BSL-1.0
#include "running_link.hpp"

#include "usage_meter.hpp"
#include "watchdog.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <stdexcept>

namespace ringbell::bench {

namespace {
// After a signal: the kernel also interrupts a wait for io_uring's sake, and who wants the program to end can wait for the end of a slice.
constexpr bool waiting_on = true;
}  // namespace

running_link::running_link(const contender& kind, const link_options& options, placement where)
    : kind_(kind), where_(where), memory_(4096), begun_(memory_.make<std::atomic<std::uint64_t>>()), link_(kind.make(options)) {
  peer_ = std::make_unique<worker_process>(kind.id, [this](pipe_end& end) { serve(end); }, link_->descriptors());
}

void running_link::serve(pipe_end& end) {
  ::signal(SIGINT, SIG_IGN);  // the terminal sends it to all; the parent decides
  ::prctl(PR_SET_TIMERSLACK, 1);
  pin_child(where_);
  link_->listen();
  end.put(true);
  link_->accept();
  slice s;
  for (std::uint64_t n = 1; end.get(s); ++n) {
    const usage_meter meter(s, *link_);
    begun_.store(n, std::memory_order_release);
    if (s.kind == traffic::ping_pong)
      link_->answer(s);
    else
      link_->receive(s);
    end.put(meter.used());
  }
}

void running_link::connect() {
  const watchdog limit(kind_.id);
  peer_->get<bool>(waiting_on);
  link_->connect();
}

usage running_link::run(const slice& s, times& t) {
  const watchdog limit(kind_.id);
  peer_->put(s);
  ++slices_;
  // Only then: the time that the other process needs to wake up is none of the link's.
  while (begun_.load(std::memory_order_acquire) != slices_) {
    if (!peer_->alive()) throw std::runtime_error(kind_.id + " has died");
    ::sched_yield();
  }
  const usage_meter meter(s, *link_);
  if (s.kind == traffic::ping_pong)
    link_->ping(s, t);
  else
    link_->send(s, t);
  usage both = meter.used();
  both += peer_->get<usage>(waiting_on);
  // The clock's part.
  both.cpu -= t.pacing_cpu;
  both.switches -= t.pacing_sleeps;
  if (both.calls >= 0) both.calls -= t.pacing_sleeps * calls_of_a_pacing_sleep;
  return both;
}

}  // namespace ringbell::bench
