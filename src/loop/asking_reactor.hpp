// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "ask_until.hpp"
#include "look_pace.hpp"
#include "reactor.hpp"
#include "watch_table.hpp"

#include <ringbell/errors.hpp>

#include <chrono>
#include <cstddef>

namespace ringbell::detail {

/// The common part of the reactors that notice an event only by a system call: how often they make
/// it, and the delivery of the watches that wait in the queue.
template <class Slot>
class asking_reactor : public reactor {
public:
  bool has_futex() const noexcept override { return false; }
  std::error_code watch_futex(const sys::futex_word&, std::uint32_t, event_sink&,
                              watch_key&) override {
    return errc::not_supported;
  }
  std::size_t poll() override {
    if (watches_.queued() == 0 && !pace_.look_now()) return 0;
    return ask(std::chrono::nanoseconds(0));
  }
  std::size_t wait(time_point until) override {
    return ask_until(until, [this](std::chrono::nanoseconds limit) {
      return ask(watches_.queued() != 0 ? std::chrono::nanoseconds(0) : limit);
    });
  }

protected:
  /// Asks the kernel, and sleeps at most for `limit` when it has no event. Delivers what is queued
  /// and what the kernel has. Returns the number of events.
  virtual std::size_t ask(std::chrono::nanoseconds limit) = 0;
  /// What a slot from the queue is to report; 0 when there is nothing to report (yet).
  virtual std::uint32_t events_of_queued(Slot& slot) = 0;
  /// Ends the watch of a slot: nothing in the kernel refers to the slot any more. Gives the slot
  /// back, unless it is queued.
  virtual void end_watch(Slot& slot) noexcept = 0;

  /// Delivers the watches that are queued now. Those that sinks queue meanwhile have their turn in
  /// the next call. Returns the number of events.
  std::size_t deliver_queued() {
    std::size_t delivered = 0;
    for (std::size_t left = watches_.queued(); left != 0; --left) {
      Slot& slot = watches_.front();
      watches_.pop();
      if (slot.sink == nullptr) {
        watches_.close(slot);
      } else if (const std::uint32_t events = events_of_queued(slot)) {
        deliver(slot, events);
        ++delivered;
      }
    }
    return delivered;
  }
  /// Calls the sink of a watch. A watch that reports once ends before.
  void deliver(Slot& slot, std::uint32_t events) {
    event_sink* const sink = slot.sink;
    if (slot.mode == watch_mode::once) end_watch(slot);
    sink->on_event(events);
  }

  watch_table<Slot> watches_;
  look_pace pace_;
};

}  // namespace ringbell::detail
