// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/one_shot_event.hpp>
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

/// A frame to be sent. The metadata and the payload must stay valid until it is sent.
struct outgoing_frame {
  service_frame::header head;
  std::string_view metadata;
  const outgoing* payload = nullptr;
};

class outbox;

/// A frame that has to wait for space. Destruction withdraws it.
class pending_frame : public list_node<pending_frame> {
public:
  outgoing_frame frame;
  bool linked_frame() const noexcept { return list_node<pending_frame>::linked(); }

  /// Called when the frame was sent (`errc{}`) or cannot be sent: `e`, or what the payload's
  /// `write` threw. May destroy this object.
  virtual void sent(errc e, std::exception_ptr thrown) noexcept = 0;

protected:
  pending_frame() noexcept = default;
  virtual ~pending_frame();  // virtual, because derived classes have friends that could delete them

private:
  friend class outbox;
  outbox* in_ = nullptr;   // the outbox where it waits; null when it waits elsewhere
  std::size_t bytes_ = 0;  // the size that `in_` counts for it
};

/// Everything that is sent on the channel of a service. A frame is sent at once while there is
/// space and no other frame waits. Otherwise frames are sent in the order of arrival, except that
/// small frames of the protocol itself (credit, cancel, goaway) go first.
///
/// What waits here is bounded. A server waits for room before it reads from the peer. A call has
/// one pending frame at a time. On a server, small frames answer those of a peer, which is read
/// only while this outbox is not stuck; on a client, there are as many as calls were cancelled.
///
/// Thread-safety: the thread of the channel's loop.
class outbox {
public:
  outbox(loop& lp, sender& through) : loop_(lp), sender_(through) {}
  outbox(const outbox&) = delete;
  outbox& operator=(const outbox&) = delete;
  /// Frames that wait end with `errc::closed`.
  ~outbox();

  /// The length, in bytes, of the longest frame that the peer takes.
  std::size_t max_message() const noexcept { return sender_.max_message(); }
  /// Sends a frame now.
  /// Errors: `errc::would_block` when it has to wait; the caller then has to push it. Throws what
  /// the payload throws.
  errc try_send(const outgoing_frame& f);
  /// Sends `p` when its turn comes, then calls `sent`. `sent` is never called within push().
  /// Errors: throws `std::bad_alloc`.
  void push(pending_frame& p);
  /// Withdraws `p`, so that nothing of it is sent. Returns false when all of it was sent already
  /// and `sent` was not called yet. Has no effect on a frame that does not wait here.
  bool withdraw(pending_frame& p) noexcept;
  /// Sends a frame without a payload, whose sender does not wait for it.
  void send_small(const service_frame::header& h) noexcept;

  /// How many bytes wait in all.
  std::size_t bytes() const noexcept { return bytes_; }
  /// Returns an event that is set when no more than `bytes` wait, or when nothing can be sent any
  /// more. One coroutine may wait at a time.
  one_shot_event& room_for(std::size_t bytes) noexcept;
  /// Whether frames are waiting.
  bool waiting() const noexcept { return flushing_; }
  /// Nothing more can be sent: all frames that wait end with `e`.
  void close(errc e) noexcept;
  /// Called when no frame waits any more.
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
    if (room_ && (bytes_ <= room_at_ || closed_ != errc{})) room_->set();
  }
  std::size_t bytes_ = 0;
  std::optional<one_shot_event> room_;  // set when no more than room_at_ bytes wait
  std::size_t room_at_ = 0;
  pending_frame* current_ = nullptr;         // the first of the queue, being sent
  bool in_fragments_ = false;                // current_ is longer than a record
  std::optional<inplace_stop_source> stop_;  // stops the sending of current_
  bool flushing_ = false;
  errc closed_{};
  std::optional<scope> flusher_;
};

}  // namespace ringbell::detail
