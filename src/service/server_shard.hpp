// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "service/server_session.hpp"

#include <ringbell/channel/detail/handshake_listener.hpp>
#include <ringbell/coro/detail/timer_heap.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/service/server.hpp>
#include <ringbell/service/statistics.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace ringbell::detail {

class server_impl;

/// The part of a server that is on one loop: the sessions of the connections there.
///
/// Thread-safety: the thread of that loop.
class server_shard final : private timer, private resident {
public:
  server_shard(loop& lp, server_impl& impl);
  ~server_shard();

  /// Makes a session of a client that has passed the handshake.
  void accept(accepted_connection client) noexcept;
  void session_ended(server_session& session) noexcept;
  /// A request of `session` began or ended.
  void is_active(server_session& session) noexcept {
    if (session.active_in != look_number_) move_to_end(session);
  }

  /// Says goodbye to all clients, ends the sessions that are still there at `until`, and tells the
  /// server when none is left. When it is called again, the earlier time holds. Takes no memory.
  void begin_stop(loop::clock::time_point until) noexcept;
  /// Ends all sessions at once, and destroys their handlers where they wait.
  void abort() noexcept;

  std::vector<client_statistics> statistics(const server_session* asking);

  loop& owner() const noexcept { return loop_; }
  const server_options& options() const noexcept;
  /// The number of clients of the server on all its loops.
  std::size_t clients() const noexcept;
  server_observer* observer() const noexcept { return options().observer; }
  const request_handler& handler() const noexcept;
  const request_handler& own_methods() const noexcept;
  bool stopping() const noexcept { return stopping_; }

private:
  void loop_gone() noexcept override;
  static void look(timer& t) noexcept { static_cast<server_shard&>(t).drop_idle(); }
  static void time_is_up(timer& t) noexcept { static_cast<stop_timer&>(t).shard.grace_is_over(); }
  struct stop_timer final : timer {
    explicit stop_timer(server_shard& of) noexcept : timer(&time_is_up), shard(of) {}
    server_shard& shard;
  };
  void grace_is_over() noexcept;
  void set_stop_timer(loop::clock::time_point due) noexcept;
  void ended() noexcept;
  task<void> serve(std::unique_ptr<server_session> session);
  void drop_idle() noexcept;
  void look_later() noexcept;
  void move_to_end(server_session& session) noexcept;
  void cancel_all(errc why) noexcept;

  loop& loop_;
  server_impl& impl_;
  list<server_session> sessions_;  // sorted: the one that was active longest ago comes first
  std::uint64_t look_number_ = 0;
  bool stopping_ = false;
  bool told_ = false;    // the server was told that no client is left
  bool asked_ = false;   // the handlers were asked to stop
  bool forced_ = false;  // some sessions did not end by themselves
  loop::clock::time_point stop_at_ = loop::clock::time_point::max();
  stop_timer stop_timer_;  // pending since the first client came, so setting it takes no memory
  std::optional<scope> tasks_;
};

}  // namespace ringbell::detail
