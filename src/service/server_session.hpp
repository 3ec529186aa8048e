// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "service/server_call.hpp"

#include <ringbell/channel/channel.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/one_shot_event.hpp>
#include <ringbell/service/detail/outbox.hpp>
#include <ringbell/service/statistics.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ringbell::detail {

class server_shard;

/// The requests of a client by their number. It is an intrusive hash table, and takes no memory
/// before the first request.
class server_calls {
public:
  server_call* find(std::uint32_t number) const noexcept;
  /// Errors: throws `std::bad_alloc`.
  void add(server_call& call);
  void remove(server_call& call) noexcept;
  std::size_t size() const noexcept { return size_; }
  /// Returns any one of them; null when there is none.
  server_call* any() const noexcept;
  template <class F>
  void for_each(F f) const {
    for (server_call* first : buckets_)
      for (server_call* c = first; c;) {
        server_call* const following = c->next;
        f(*c);
        c = following;
      }
  }

private:
  server_call*& bucket(std::uint32_t number) noexcept {
    return buckets_[number & (buckets_.size() - 1)];
  }
  std::vector<server_call*> buckets_;
  std::size_t size_ = 0;
};

/// The connection of one client.
class server_session final : public list_node<server_session> {
public:
  server_session(server_shard& of, channel ch);
  ~server_session();

  /// Takes requests until the connection ends, then waits until their handlers have ended.
  task<void> run();
  /// Says goodbye and takes no further request. Closes once those under way have ended.
  void say_goodbye(errc why) noexcept;
  bool leaving() const noexcept { return leaving_ != errc{}; }
  /// Asks the handlers to stop.
  void cancel_all(errc why) noexcept;
  /// Whether no request is under way.
  bool idle() const noexcept { return calls_.size() == 0; }
  /// Closes, even if the client has not read everything.
  void close() noexcept { ch_.close(); }
  // The shard's look number (see drop_idle) when a request began or ended last.
  std::uint64_t active_in = 0;

  outbox& out() noexcept { return out_; }
  const sys::peer_identity& peer() const noexcept { return peer_; }
  /// Returns the error for a call that would take more memory than is kept for the client.
  reply too_many_bytes() const;
  void call_ended(server_call& call, bool failed) noexcept;
  client_statistics statistics() noexcept;

private:
  struct refusal {
    std::uint32_t call;
    errc why;
  };
  task<std::error_code> take_all();
  errc take(message m);
  errc begin(payload content, const service_frame::header& h);
  errc admit(const payload& content, const service_frame::header& h) const noexcept;
  std::size_t memory_of(const payload& content, const service_frame::header& h) const noexcept;
  std::size_t most_to_send() const noexcept;
  task<void> send_refusal(refusal what);
  void close_when_done() noexcept;
  void send_goaway() noexcept;

  server_shard& shard_;
  channel ch_;
  sys::peer_identity peer_;
  outbox out_;
  server_calls calls_;
  byte_budget kept_;  // what is kept for this client
  std::uint64_t requests_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t refused_ = 0;
  errc leaving_{};
  bool last_word_ = false;  // the second goodbye was sent; see close_when_done
  bool connected_ = false;  // observers were told of the connection, and not of its end
  bool gone_ = false;
  one_shot_event done_;             // set when the connection and the last handler have ended
  std::optional<refusal> refusal_;  // to be sent before anything else is taken
  timer::time_point since_;
};

}  // namespace ringbell::detail
