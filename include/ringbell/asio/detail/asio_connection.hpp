// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/waitable.hpp>
#include <ringbell/asio/error.hpp>
#include <ringbell/detail/connection.hpp>
#include <ringbell/detail/spin_history.hpp>
#include <ringbell/detail/spin_limits.hpp>
#include <ringbell/sys/cpu.hpp>
#include <ringbell/sys/doorbell.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>

namespace ringbell::detail {

/// How far one wait has come with polling before it sleeps.
struct polling {
  enum { undecided, on, over } state = undecided;
  std::chrono::steady_clock::time_point begun{};
};

/// A connection whose waits are operations on an Asio executor.
class asio_connection final : public connection, public waitable {
public:
  using clock = std::chrono::steady_clock;

  asio_connection(net::any_io_executor executor, connection_parts parts, client_slot slot)
      : connection(std::move(parts), std::move(slot)), waitable(std::move(executor)) {}

  /// Errors: the system's; then orphan() the object.
  void start(net_error_code& error) {
    std::error_code system;
    policy_ = chosen_spin(policy_);
    if (policy_ == spin_policy::adaptive) limit_ = spin_limit();
    compare_cpus();
    bell_ = sys::doorbell::create(parts_.control, parts_.own_bell, system);
    error = to_net(system);
    if (!system) watch(bell_.native(), error);
  }

  void spin(spin_policy policy) {
    policy_ = chosen_spin(policy);
    if (policy_ == spin_policy::adaptive) limit_ = spin_limit();
  }

  /// Whether an awaitable may complete without suspending. False now and then, so that the executor's other work has its turn; and when
  /// somebody is pending already.
  bool may_continue(directions d, std::size_t size) noexcept {
    const std::size_t price = 1 + size / bytes_per_turn_unit;
    if (pending(d) || budget_ < price) return false;
    budget_ -= price;
    return true;
  }
  /// The executor has had its turn.
  void turned() noexcept { budget_ = turn; }

  /// For attempts outside of operations: whether the peer is there still is looked at only now and then, since it is a system call.
  void attempted_in_vain() noexcept {
    if (++vain_attempts_ % attempts_per_look == 0) answer();
  }

  /// Somebody woke us, or may have: takes the rings. The other direction may be meant.
  void answer() noexcept {
    if (bell_.answer(parts_.control)) ring().peer_gone();
    kick();
    if (parked_at_ == clock::time_point()) return;
    history_.slept(clock::now() - parked_at_, limit_);
    parked_at_ = {};
  }

  enum class found { something, nothing_yet, nothing };
  /// Looks at the ring for a moment, if that has paid in the past: a slice at a time, until what a park costs has passed.
  template <class Look>
  found poll(polling& p, Look look) noexcept {
    if (p.state == polling::undecided) p.state = worth_polling() ? polling::on : polling::over;
    if (p.state == polling::over) return found::nothing;
    clock::time_point slice_begun{};
    for (unsigned round = 1;; ++round) {
      if (look()) {
        history_.paid();
        count(ring().counters().spins_paid);
        p.state = polling::over;
        return found::something;
      }
      if (round % rounds_per_clock_read != 0) continue;
      // Who spins for long is like one who parks: the peer may be waiting for space.
      ring().publish();
      ring_if_due();
      const clock::time_point now = clock::now();
      if (p.begun == clock::time_point()) p.begun = now;
      if (slice_begun == clock::time_point()) slice_begun = now;
      if (policy_ == spin_policy::adaptive && now - p.begun >= limit_) {
        history_.wasted();
        p.state = polling::over;
        return found::nothing;
      }
      if (now - slice_begun >= spin_slice) return found::nothing_yet;
    }
  }

  /// Before sleeping: tells the peer to ring, then looks once more. True when the bell will wake this side.
  template <class Look>
  bool park(directions d, std::size_t to_send, bool polled, Look look) noexcept {
    if (++parks_ % parks_per_cpu_look == 0) compare_cpus();
    (void)parts_.control.native();  // where a wait takes signals: whoever begins one hears of a hang-up that came before
    ring().announce((d & towards_us) != 0, (d & towards_peer) != 0, to_send);
    park_fence();
    ring().after_fence();
    const bool something = look();
    ring_if_due();
    // Fragments were taken in: the index that was announced is behind, and would ring no more.
    if (something || ((d & towards_us) && ring().interrupted())) return false;
    count(ring().counters().parks);
    if (limit_.count() != 0 && !polled) parked_at_ = clock::now();
    return true;
  }

  void end(ticket t) noexcept {
    waitable::end(t);
    abandon_rest();
  }
  void cancel(directions d) noexcept {
    waitable::cancel(d);
    abandon_rest();
  }

private:
  // How much may complete without suspending before the others have their turn: some 50 us of small messages, or of copying.
  static constexpr std::size_t turn = 512;
  static constexpr std::size_t bytes_per_turn_unit = 1024;
  static constexpr unsigned attempts_per_look = 64;
  static constexpr unsigned parks_per_cpu_look = 1024;

  bool worth_polling() noexcept {
    return policy_ != spin_policy::none && !same_cpu_ && (policy_ == spin_policy::always || history_.worth_it());
  }
  /// Of a message that was not sent to its end.
  void abandon_rest() noexcept {
    if (pending(towards_peer) || !ring().message_begun() || in_forked_child()) return;
    ring().abandon_fragments();
    ring_if_due();
  }
  void compare_cpus() noexcept {
    const int own = sys::only_cpu();
    own_page().only_cpu.store(own, std::memory_order_relaxed);
    same_cpu_ = own >= 0 && peer_page().only_cpu.load(std::memory_order_relaxed) == own;
  }
  // Space that was given back is published when a quarter of the ring has gathered, with the next message, and when this side polls or parks.
  // Nobody waits for the rest: a record needs three quarters of the ring at most (ring_writer::max_record).
  void publish_later() noexcept override {}
  void hang_up() noexcept override {
    unwatch();
    bell_ = {};
  }

  sys::doorbell bell_;
  spin_history history_;
  spin_policy policy_ = spin_policy::automatic;
  std::chrono::nanoseconds limit_{0};
  clock::time_point parked_at_{};
  std::size_t budget_ = turn;
  unsigned vain_attempts_ = 0;
  unsigned parks_ = 0;
  bool same_cpu_ = false;  // both sides are bound to one processor: the peer never runs while this side polls
};

}  // namespace ringbell::detail
