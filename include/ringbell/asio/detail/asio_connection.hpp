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

/// How far one wait has come with polling before it sleeps.
struct polling {
  bool decided = false;  // whether this wait is to be polled for
  bool polled = false;   // it was
  spin current;
};

/// A connection whose waits are operations on an Asio executor.
class asio_connection final : public connection, public waitable {
public:
  using clock = std::chrono::steady_clock;

  asio_connection(net::execution_context& context, connection_parts parts, client_slot slot);

  /// Errors: the system's; then orphan() the object.
  void start(net_error_code& error);
  void use_policy(spin_policy policy);

  /// Whether an awaitable may complete without suspending. False now and then, so that the
  /// executor's other work has its turn; and when an operation is pending already.
  bool may_continue(directions d, std::size_t size) noexcept {
    const std::size_t price = 1 + size / bytes_per_turn_unit;
    if (pending(d) || budget_ < price) return false;
    budget_ -= price;
    return true;
  }
  /// The executor has had its turn.
  void turned() noexcept { budget_ = turn; }

  /// For attempts outside of operations: whether the peer is there still is looked at only now and
  /// then, because it is a system call.
  void attempted_in_vain() noexcept {
    if (++vain_attempts_ % attempts_per_look == 0) answer();
  }

  /// This side was woken, or may have been: takes the rings. The other direction may be meant.
  void answer() noexcept;

  enum class found { something, nothing_yet, nothing };
  /// Looks at the ring for a moment, if that has paid in the past: a slice at a time, until what a
  /// park costs has passed.
  template <class Look>
  found poll(polling& p, Look look) noexcept;
  /// As `poll`, for something to receive.
  found poll_to_receive(polling& p) noexcept;

  /// Before sleeping: tells the peer to ring, then looks once more. True when the bell will wake
  /// this side.
  template <class Look>
  bool park(directions d, std::size_t to_send, bool polled, Look look) noexcept;

  void hold() noexcept override { connection::hold(); }
  void let_go() noexcept override { connection::let_go(); }
  void end(ticket t) noexcept override;
  void cancel(directions d) noexcept override;

private:
  // How much may complete without suspending before the others have their turn: some 50 us of small
  // messages, or of copying.
  static constexpr std::size_t turn = 512;
  static constexpr std::size_t bytes_per_turn_unit = 1024;
  static constexpr unsigned attempts_per_look = 64;
  static constexpr unsigned parks_per_cpu_look = 1024;

  /// Of a message that was not sent to its end.
  void abandon_rest() noexcept;
  void compare_cpus() noexcept;
  // Space that was given back is published when a quarter of the ring has gathered, with the next
  // message, and when this side polls or parks. Nothing waits for the rest: a record needs three
  // quarters of the ring at most (ring_writer::max_record).
  void publish_later() noexcept override {}
  void hang_up() noexcept override;

  sys::doorbell bell_;
  spin_history history_;
  spinner spinner_{spin_policy::none};
  clock::time_point parked_at_{};
  std::size_t budget_ = turn;
  unsigned vain_attempts_ = 0;
  unsigned parks_ = 0;
  bool same_cpu_ =
      false;  // both sides are bound to one processor: the peer never runs while this polls
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
