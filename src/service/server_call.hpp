// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/task_promise.hpp>
#include <ringbell/coro/detail/timer_heap.hpp>
#include <ringbell/coro/stop_token.hpp>
#include <ringbell/service/detail/call_flow.hpp>
#include <ringbell/service/reply.hpp>
#include <ringbell/service/request.hpp>
#include <ringbell/service/server.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace ringbell::detail {

class server_session;

/// A request under way: its bytes, the coroutine of its handler, and the reply. The session holds
/// it until the handler has ended and the reply was sent; the handler's `request` may hold it for
/// longer.
///
/// This object owns the frame of the handler. It destroys the frame when the handler has ended, or
/// where the handler waits when the session goes first.
class server_call final : public call_flow, private task_owner, private timer {
public:
  server_call(server_session& of, loop& lp, server_observer* observer, payload content,
              const service_frame::header& h, std::optional<timer::time_point> deadline) noexcept;

  /// Runs the handler until it first waits. The handler may have ended by then, and this object may
  /// be gone.
  void start(const request_handler& handler);
  /// The client does not wait for the reply any more: asks the handler to stop. What the handler
  /// answers is not sent, unless `why` is `errc::timed_out`.
  void cancel(errc why) noexcept;
  /// The session goes: destroys the handler if it still runs.
  void abort() noexcept;
  using call_flow::count_in;
  using call_flow::count_no_more;
  using call_flow::has_room;
  using call_flow::keep;

  std::uint32_t method() const noexcept { return method_; }
  const payload& content() const noexcept { return content_; }
  std::optional<timer::time_point> deadline() const noexcept { return deadline_; }
  bool stop_requested() const noexcept { return stop_.stop_requested(); }
  const sys::peer_identity& peer() const noexcept { return peer_; }
  /// Null once the session has gone.
  const server_session* session() const noexcept { return session_; }

  friend void add_reference(server_call& call) noexcept { ++call.references_; }
  friend void release_reference(server_call& call) noexcept {
    if (--call.references_ == 0) delete &call;
  }

  server_call* next = nullptr;  // in its bucket of the session's table

private:
  ~server_call() = default;
  static void expired(timer& t) noexcept { static_cast<server_call&>(t).cancel(errc::timed_out); }
  void ended(task_promise<void>& frame) noexcept override;
  static task<void> run(server_call& call, const request_handler& handler);
  task<void> answer(reply r);
  class keeping;
  outgoing_frame frame_of(const reply& r) const;
  void tell_observer() const noexcept;

  server_session* session_;
  loop& loop_;
  server_observer* observer_;  // null when there is none
  sys::peer_identity peer_;
  unsigned references_ = 1;  // one is the session's
  std::uint32_t method_;
  payload content_;
  std::optional<timer::time_point> deadline_;
  inplace_stop_source stop_;
  task_promise<void>* running_ = nullptr;
  errc cancelled_{};
  // for observers
  timer::time_point begun_{};
  std::size_t reply_bytes_ = 0;
  std::error_code error_;
};

/// Sends a frame. It ignores the stop token, because a handler that was asked to stop still owes a
/// reply.
class send_frame_awaiter final : public ready_node, public pending_frame {
public:
  send_frame_awaiter(outbox& through, const outgoing_frame& f) noexcept : out_(&through) {
    frame = f;
  }
  ~send_frame_awaiter() override {
    if (linked_frame()) out_->withdraw(*this);
  }
  bool await_ready() {
    outcome_ = out_->try_send(frame);
    return outcome_ != errc::would_block;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> h) {
    waiting = h;
    home_ = coroutine_context_of(h).scheduler;
    out_->push(*this);
  }
  /// Returns `errc{}`, or why the frame could not be sent.
  /// Errors: throws what the payload threw.
  errc await_resume() {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    return outcome_;
  }

private:
  void sent(errc e, std::exception_ptr thrown) noexcept override {
    outcome_ = e;
    thrown_ = std::move(thrown);
    scheduler_access::schedule(*home_, *this);
  }
  outbox* out_;
  scheduler* home_ = nullptr;
  errc outcome_ = errc::would_block;
  std::exception_ptr thrown_;
};

}  // namespace ringbell::detail
