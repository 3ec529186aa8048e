// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/clients_by_user.hpp>
#include <ringbell/channel/detail/connection.hpp>
#include <ringbell/channel/detail/record_kind.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/timer_heap.hpp>
#include <ringbell/loop/detail/event.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ringbell::detail {

class half_open;

/// A client that has passed the handshake. It is independent of the listener's loop: it may be
/// moved to another thread and started on another loop there (`start_channel`). That loop must have
/// the same back end as the listener's loop, because the bell was chosen among those that the
/// listener's loop can wait on. The loops of a `loop_pool` all have the same back end.
///
/// Lifetime: destruction hangs up; `end_connection` ends the connection in order.
struct accepted_connection {
  connection_parts parts;
  client_slot slot;
};

/// Listens under a name and does the handshake with each client while the loop runs. A front end
/// makes channels of the clients that pass.
///
/// Thread-safety: the loop's thread.
/// Lifetime: the loop must outlive it. Destruction removes the socket file, drops unfinished
/// handshakes, and ends the connections that were not taken.
class handshake_listener final : public event_sink, private timer {
public:
  /// Errors: throws as `listener::bind` does.
  static std::unique_ptr<handshake_listener> bind(
      loop& lp, std::string_view name, listener_options options,
      handshake::record_kind kind = handshake::record_kind::messages);
  ~handshake_listener();

  loop& owner() const noexcept { return loop_; }
  const std::string& path() const noexcept { return socket_.path(); }
  /// Returns how many clients are connected, including those that were not taken yet. A client
  /// counts until its slot calls `leave`, in whichever thread that is.
  std::size_t clients() const noexcept { return clients_->load(std::memory_order_relaxed); }

  /// Takes the next client; returns nothing when none is ready.
  std::optional<accepted_connection> take() noexcept;
  /// Sets the function that is called whenever another client is ready. It may take the client. It
  /// must not throw, and it must not destroy this object.
  void on_ready(std::function<void()> f) { on_ready_ = std::move(f); }

private:
  friend class half_open;

  handshake_listener(loop& lp, sys::local_listener socket, listener_options options,
                     handshake::record_kind kind);
  static void again(timer& t) noexcept { static_cast<handshake_listener&>(t).on_event(event_read); }
  void on_event(std::uint32_t) noexcept override {
    more_ = true;
    accept_all();
  }
  void accept_all() noexcept;
  void accept_soon() noexcept;
  void accept_at(loop::clock::time_point when) noexcept;
  bool allowed(const sys::peer_identity& who) noexcept;
  void begin(sys::local_socket socket) noexcept;
  void make_room_for(const sys::user_id& user) noexcept;
  void accepted(connection_parts parts, client_count of_user) noexcept;
  void ended() noexcept;

  loop& loop_;
  sys::local_listener socket_;
  listener_options options_;
  handshake::record_kind kind_;
  std::size_t places_;  // for connections in their handshake
  // Descriptors kept for clients that may connect, and for telling others that they may not.
  sys::descriptor_reserve reserve_;
  client_count clients_;
  clients_by_user users_;
  list<half_open> handshakes_;
  std::deque<accepted_connection> ready_;
  std::function<void()> on_ready_;
  watch_key key_;
  bool more_ = true;  // the backlog has not been found empty since the last event
  bool closing_ = false;
  bool accepting_ = false;
};

}  // namespace ringbell::detail
