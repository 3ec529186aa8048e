// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>
#include <ringbell/coro/detail/gate.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/stop_token.hpp>
#include <ringbell/service/detail/frame.hpp>
#include <ringbell/service/detail/outgoing.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace ringbell::detail {

/// A frame to be sent. What it refers to must stay until it is sent.
struct outgoing_frame {
  service_frame::header head;
  std::string_view metadata;
  const outgoing* payload = nullptr;
};

class outbox;

/// A frame that has to wait for space. Withdrawn when it is destroyed.
class pending_frame : public list_node<pending_frame> {
public:
  outgoing_frame frame;
  bool linked_frame() const noexcept { return list_node<pending_frame>::linked(); }

  /// It was sent, or cannot be: `e`, or what the payload's `write` threw. May destroy this object.
  virtual void sent(errc e, std::exception_ptr thrown) noexcept = 0;

protected:
  pending_frame() noexcept = default;
  virtual ~pending_frame();  // its heirs have friends, who could delete them

private:
  friend class outbox;
  outbox* in_ = nullptr;   // where it waits; it may be linked into other lists, too
  std::size_t bytes_ = 0;  // as it counts there
};

/// All that goes out on the channel of a service: at once while there is space and nobody waits,
/// else in order of arrival, but small frames of the protocol itself (credit, cancel, goaway)
/// first. One thread: the channel's loop.
///
/// Nothing waits in it without bound: a server waits for room before it reads from the peer, a call
/// has one pending frame at a time, and small frames answer those of a peer that is read only as
/// long as this outbox is not stuck (server), or are as many as calls were cancelled (client).
class outbox {
public:
  outbox(loop& lp, sender& through) : loop_(lp), sender_(through) {}
  outbox(const outbox&) = delete;
  outbox& operator=(const outbox&) = delete;
  /// What waits ends with `errc::closed`.
  ~outbox();

  /// The longest frame that the peer takes.
  std::size_t max_message() const noexcept { return sender_.max_message(); }
  /// Sends now: `errc::would_block` when it has to wait, and so is to be pushed. Throws what the
  /// payload throws.
  errc try_send(const outgoing_frame& f);
  /// Sends it in its turn, then calls `sent`, never from within this call. Throws `std::bad_alloc`.
  void push(pending_frame& p);
  /// Nothing of it is sent. False when all of it was sent already, of which `sent` would have told
  /// soon. No effect on one that does not wait here.
  bool withdraw(pending_frame& p) noexcept;
  /// A frame without a payload, that nobody waits for.
  void send_small(const service_frame::header& h) noexcept;

  /// How many bytes wait, in all.
  std::size_t bytes() const noexcept { return bytes_; }
  /// Waits until no more than `bytes` do, or nothing can be sent any more. One at a time.
  gate& room_for(std::size_t bytes) noexcept;
  /// Whether frames are waiting.
  bool waiting() const noexcept { return flushing_; }
  /// Nothing more can be sent: everything that waits ends with `e`.
  void close(errc e) noexcept;
  /// Is called when nothing waits any more.
  std::function<void()> on_drained;

private:
  task<void> flush();
  task<errc> send_all();
  task<errc> flush_one(pending_frame& p);
  void start();
  errc write_in_place(const outgoing_frame& f, std::size_t size);
  std::size_t size_of(const outgoing_frame& f) const;

  loop& loop_;
  sender& sender_;
  list<pending_frame> queue_;
  std::vector<service_frame::header> small_;
  void take_out(pending_frame& p) noexcept {
    p.unlink();
    p.in_ = nullptr;
    bytes_ -= std::exchange(p.bytes_, 0);
    tell_room();
  }
  void tell_room() noexcept {
    if (room_ && (bytes_ <= room_at_ || closed_ != errc{})) room_->open();
  }
  std::size_t bytes_ = 0;
  std::optional<gate> room_;  // of the coroutine that waits until no more than room_at_ bytes do
  std::size_t room_at_ = 0;
  pending_frame* current_ = nullptr;         // the first of the queue, being sent
  bool in_fragments_ = false;                // it is longer than a record
  std::optional<inplace_stop_source> stop_;  // of that
  bool flushing_ = false;
  errc closed_{};
  std::optional<scope> flusher_;
};

}  // namespace ringbell::detail
