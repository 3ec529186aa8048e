// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/detail/event.hpp>
#include <ringbell/sys/platform.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringbell::detail {

/// What every back end knows of a watch. A back end derives from it to keep more.
struct watch_slot {
  event_sink* sink = nullptr;  // null: the watch has ended
  sys::native_handle handle = sys::invalid_handle;
  std::uint32_t events = 0;
  std::uint32_t generation = 1;
  watch_mode mode = watch_mode::edge;
  bool queued = false;
  std::uint32_t next = 0;  // in the free list or in the queue
};

// Keys that no watch has (see below), for the back end's own requests.
inline constexpr std::uint64_t nobodys_key = 0;
inline constexpr std::uint64_t timer_key = 1;

/// The watches of a reactor, by key. A key is `generation << 32 | index`, and travels through the
/// kernel as user data. The generation is incremented whenever a slot is given back, so an event
/// that the kernel had ready when its watch ended finds nothing.
///
/// The generation is never 0, so no key is 0, and values below 2^32 are free for the back end's own
/// requests.
///
/// Slots also form a queue of those with which the back end has something to do. A slot whose watch
/// ends while it is queued is given back only when it is taken from the queue. So each slot is in
/// the queue at most once, and queueing never allocates.
///
/// Slots move when the table grows: hold no reference across a call of a sink.
template <class Slot>
class watch_table {
public:
  /// Takes a free slot. All its members have their initial values, except the generation. Throws
  /// std::bad_alloc.
  Slot& open(event_sink& sink) {
    if (free_ == none) {
      slots_.emplace_back();
      slots_.back().next = none;
      free_ = static_cast<std::uint32_t>(slots_.size() - 1);
    }
    Slot& slot = slots_[free_];
    free_ = slot.next;
    slot.sink = &sink;
    return slot;
  }

  /// Gives a slot back. It must not be queued.
  void close(Slot& slot) noexcept {
    std::uint32_t generation = slot.generation + 1;
    if (generation == 0) generation = 1;
    slot = Slot();
    slot.generation = generation;
    slot.next = free_;
    free_ = index_of(slot);
  }

  watch_key key_of(const Slot& slot) const noexcept {
    return {std::uint64_t{slot.generation} << 32 | index_of(slot)};
  }

  /// The slot of a watch that has not ended; null when it has.
  Slot* find(std::uint64_t key) noexcept {
    const std::size_t index = key & 0xffffffff;
    if (index >= slots_.size()) return nullptr;
    Slot& slot = slots_[index];
    return slot.sink != nullptr && slot.generation == key >> 32 ? &slot : nullptr;
  }

  void push(Slot& slot) noexcept {
    if (slot.queued) return;
    slot.queued = true;
    slot.next = none;
    (queued_ == 0 ? first_ : slots_[last_].next) = index_of(slot);
    last_ = index_of(slot);
    ++queued_;
  }
  /// The slot that has been queued for the longest time; its watch may have ended. Only when
  /// `queued() != 0`.
  Slot& front() noexcept { return slots_[first_]; }
  void pop() noexcept {
    Slot& slot = slots_[first_];
    first_ = slot.next;
    slot.queued = false;
    --queued_;
  }
  std::size_t queued() const noexcept { return queued_; }

  /// Calls `f` with each slot, in use or not. `f` may push it.
  template <class F>
  void for_each(F f) {
    for (Slot& slot : slots_) f(slot);
  }

  /// The number of slots, in use or not.
  std::size_t size() const noexcept { return slots_.size(); }

private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  std::uint32_t index_of(const Slot& slot) const noexcept {
    return static_cast<std::uint32_t>(&slot - slots_.data());
  }

  std::vector<Slot> slots_;
  std::uint32_t free_ = none;
  std::uint32_t first_ = none;
  std::uint32_t last_ = none;
  std::size_t queued_ = 0;
};

}  // namespace ringbell::detail
