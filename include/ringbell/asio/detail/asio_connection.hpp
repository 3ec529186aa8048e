// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/waitable.hpp>
#include <ringbell/channel/detail/connection.hpp>
#include <ringbell/loop/detail/spinner.hpp>
#include <ringbell/loop/spin_policy.hpp>
#include <ringbell/sys/doorbell.hpp>

#include <chrono>
#include <cstddef>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// The state of the polling that one wait does before it sleeps.
struct polling {
  bool decided = false;  // it was decided whether this wait polls
  bool polled = false;   // this wait has polled
  spin current;
};

/// A connection whose waits are operations on an Asio executor.
class asio_connection final : public connection, public waitable {
public:
  using clock = std::chrono::steady_clock;

  asio_connection(net::execution_context& context, connection_parts parts, client_slot slot);

  /// Begins to watch for the bell.
  /// Errors: the system's; the caller must then orphan() the object.
  void start(net_error_code& error);
  void use_policy(spin_policy policy);

  /// Whether an awaitable may complete without suspending. It returns false now and then, so that
  /// the executor's other work has its turn. It also returns false while an operation is pending.
  bool may_continue(directions d, std::size_t size) noexcept {
    const std::size_t price = 1 + size / bytes_per_turn_unit;
    if (pending(d)) return false;
    if (budget_ < price) {
      budget_ = 0;
      return false;
    }
    budget_ -= price;
    return true;
  }
  /// Whether the executor's other work has to have its turn before something completes here.
  bool turn_is_over() const noexcept { return budget_ == 0; }
  /// The executor's other work has had its turn.
  void turned() noexcept { budget_ = turn; }

  /// Called for attempts outside of operations that found nothing. It checks only now and then
  /// whether the peer is still there, because that is a system call.
  void attempted_in_vain() noexcept {
    if (++vain_attempts_ % attempts_per_look == 0) answer();
  }

  /// This side was woken, or may have been: takes the bells. Operations of both directions look
  /// again, because either may be meant.
  void answer() noexcept;

  enum class found { something, nothing_yet, nothing };
  /// Looks at the ring for a moment, if that has paid in the past. It polls one slice at a time,
  /// until the cost of a park has passed.
  template <class Look>
  found poll(polling& p, Look look) noexcept;
  /// As `poll`, waiting for something to receive.
  found poll_to_receive(polling& p) noexcept;

  /// Called before sleeping: asks the peer to ring, then looks once more. Returns true when the
  /// bell will wake this side.
  template <class Look>
  bool park(directions d, std::size_t to_send, bool polled, Look look) noexcept;

  void add_reference() noexcept override { connection::add_reference(); }
  void release_reference() noexcept override { connection::release_reference(); }
  void end(ticket t) noexcept override;
  void cancel(directions d) noexcept override;

private:
  // How much may complete without suspending before other work has its turn. It is about 50 us of
  // small messages, or of copying.
  static constexpr std::size_t turn = 512;
  static constexpr std::size_t bytes_per_turn_unit = 1024;
  static constexpr unsigned attempts_per_look = 64;
  static constexpr unsigned parks_per_cpu_look = 1024;

  /// Withdraws the fragments of a message that was not sent to its end.
  void abandon_rest() noexcept;
  void compare_cpus() noexcept;
  // Space that was given back is published when a quarter of the ring has gathered, with the next
  // message, and when this side polls or parks. No operation of the peer waits for the rest,
  // because a record needs at most three quarters of the ring (ring::writer::max_record).
  void publish_later() noexcept override {}
  void hang_up() noexcept override;

  sys::doorbell bell_;
  spin_history history_;
  spinner spinner_{spin_policy::none};
  clock::time_point parked_at_{};
  std::size_t budget_ = turn;
  unsigned vain_attempts_ = 0;
  unsigned parks_ = 0;
  // Both sides are bound to one processor: the peer never runs while this side polls.
  bool same_cpu_ = false;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
