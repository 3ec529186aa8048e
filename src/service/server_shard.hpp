// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "service/server_session.hpp"

#include <ringbell/detail/gate.hpp>
#include <ringbell/detail/listener_core.hpp>
#include <ringbell/detail/timer_heap.hpp>
#include <ringbell/scope.hpp>
#include <ringbell/server.hpp>
#include <ringbell/service_statistics.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace ringbell::detail {

class server_core;

/// The part of a server that is on one loop: the sessions of the connections there. All of it on that loop's thread.
class server_shard final : private timer {
public:
  server_shard(loop& lp, server_core& core);
  ~server_shard();

  /// Makes a session of a client that has passed the handshake.
  void accept(accepted_connection client) noexcept;
  void session_ended(server_session& session) noexcept;
  /// A request of its began, or ended.
  void is_active(server_session& session) noexcept {
    if (session.active_in != look_number_) move_to_end(session);
  }

  /// Says goodbye to all, and waits until all have gone, at the most until `until`; then makes them. Calls `ended`, on this loop, with
  /// whether that was not needed.
  void begin_stop(loop::clock::time_point until, std::function<void(bool)> ended);
  /// Makes a stop that has begun wait no longer.
  void hurry() noexcept;
  /// Ends everything where it is.
  void drop() noexcept;

  std::vector<client_statistics> statistics();

  loop& owner() const noexcept { return loop_; }
  const server_options& options() const noexcept;
  server_observer* observer() const noexcept { return options().observer; }
  const request_handler& handler() const noexcept;
  const request_handler& own_methods() const noexcept;
  bool stopping() const noexcept { return stopping_; }

private:
  static void look(timer& t) noexcept { static_cast<server_shard&>(t).drop_idle(); }
  task<bool> stop(loop::clock::time_point until);
  task<void> run_stop(loop::clock::time_point until, std::function<void(bool)> ended);
  task<void> serve(std::unique_ptr<server_session> session);
  void drop_idle() noexcept;
  void look_later() noexcept;
  void move_to_end(server_session& session) noexcept;
  void cancel_all(errc why) noexcept;

  loop& loop_;
  server_core& core_;
  list<server_session> sessions_;  // who was active longest ago comes first
  std::uint64_t look_number_ = 0;
  bool stopping_ = false;
  std::unique_ptr<gate> empty_;
  std::optional<scope> tasks_;
  std::optional<scope> stopper_;
};

}  // namespace ringbell::detail
