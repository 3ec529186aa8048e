// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/wait_node.hpp>

#include <utility>

namespace ringbell::detail {

/// The place of the one wait that an object admits at a time. The object and the wait point to each
/// other while the wait is in its slot, and either may be destroyed first. `Wait` derives from
/// `slot_wait<Object>`.
template <class Wait>
class wait_slot {
public:
  wait_slot() noexcept = default;
  wait_slot(const wait_slot&) = delete;
  wait_slot& operator=(const wait_slot&) = delete;
  ~wait_slot() { lose_object(); }

  explicit operator bool() const noexcept { return wait_ != nullptr; }
  Wait* operator->() const noexcept { return wait_; }

  void put(Wait& w) noexcept { wait_ = &w; }
  /// Takes a wait out. Returns false when it is not in the slot.
  bool remove(const Wait& w) noexcept {
    if (wait_ != &w) return false;
    wait_ = nullptr;
    return true;
  }
  /// To be called when the object is destroyed before the wait.
  void lose_object() noexcept {
    if (Wait* const w = std::exchange(wait_, nullptr)) w->lose_object();
  }

private:
  Wait* wait_ = nullptr;
};

/// The base of an awaiter that waits in a slot of an `Object`.
template <class Object>
class slot_wait : public wait_node {
public:
  slot_wait(const slot_wait&) = delete;
  slot_wait& operator=(const slot_wait&) = delete;
  void lose_object() noexcept { of_ = nullptr; }

protected:
  explicit slot_wait(Object* of) noexcept : of_(of) {}
  ~slot_wait() = default;

  Object* of_;  // null when there is none, or when it has gone
};

}  // namespace ringbell::detail
