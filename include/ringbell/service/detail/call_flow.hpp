// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/wait_slot.hpp>
#include <ringbell/result.hpp>
#include <ringbell/service/detail/byte_budget.hpp>
#include <ringbell/service/detail/outbox.hpp>
#include <ringbell/service/payload.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <optional>
#include <span>
#include <utility>

namespace ringbell::detail {

class read_awaiter;
class write_wait;

/// One call, at either side: the parts that it sends and receives, and the limits on them.
///
/// Credit bounds the parts. A sender may begin a part while less than a window of bytes is under
/// way, that is, sent and not credited. A receiver gives credit for what was consumed, half a
/// window at a time. So a receiver never keeps more than a window and one part, and a slow consumer
/// delays its own call and no other. There is no deadlock: a sender that waits has a whole window
/// under way, and once that is consumed, credit is due.
///
/// Thread-safety: one thread.
class call_flow {
public:
  call_flow(const call_flow&) = delete;
  call_flow& operator=(const call_flow&) = delete;

  std::uint32_t id() const noexcept { return id_; }

  // Frames from the peer. They return false when the peer has broken the protocol.
  bool part_arrived(payload p);
  void last_part_arrived() noexcept;
  bool credit_arrived(std::uint64_t bytes) noexcept;
  /// Ends both directions with `e`: reads and writes that wait end with it, and so do later ones.
  /// Parts that have arrived can still be read.
  void close(errc e) noexcept;
  /// Ends the sending of parts: a write that waits ends with `errc::closed`, and so do later ones.
  void close_sending() noexcept;
  /// As close_sending(), but a write that is under way is still sent. The peer is told of the end
  /// after it.
  void finish_sending() noexcept;
  errc closed() const noexcept { return over_; }
  /// Returns whether a coroutine of `context` may wait for the call: `errc{}` or
  /// `errc::wrong_loop`.
  errc admits(const coroutine_context& context) const noexcept {
    return !home_ || at_home(context, *home_) ? errc{} : errc::wrong_loop;
  }
  bool receiving_parts() const noexcept { return more_to_come_; }

  /// The memory that a part takes while it waits to be read: its bytes, and at most `part_memory`
  /// bytes for its header and its place in the list.
  static constexpr std::size_t part_memory = 320;
  static std::size_t memory_of_part(std::size_t size) noexcept { return size + part_memory; }

protected:
  /// `sending` is the kind of frame that parts are sent as. `home` is the loop of the call; null
  /// when there is none.
  call_flow(service_frame::kind sending, const scheduler* home) noexcept
      : home_(home), sends_(sending) {}
  ~call_flow() = default;
  /// From now on frames are sent through `out`, as those of the call `id`. `parts_will_come` says
  /// whether the peer will send further parts.
  void open(outbox& out, std::uint32_t id, bool parts_will_come) noexcept {
    out_ = &out;
    id_ = id;
    more_to_come_ = parts_will_come;
  }
  outbox* out() const noexcept { return out_; }
  void lose_outbox() noexcept { out_ = nullptr; }
  void more_will_come() noexcept { more_to_come_ = true; }
  /// What is kept for the call is counted in `budget`, until count_no_more().
  void count_in(byte_budget& budget) noexcept { budget_ = &budget; }
  void count_no_more() noexcept {
    if (budget_) budget_->used -= kept_;
    budget_ = nullptr;
  }
  void keep(std::size_t bytes) noexcept {
    kept_ += bytes;
    if (budget_) budget_->used += bytes;
  }
  void keep_no_more(std::size_t bytes) noexcept {
    kept_ -= bytes;
    if (budget_) budget_->used -= bytes;
  }
  /// Whether `bytes` more may be kept. When nothing else is counted in the budget, a call may
  /// always keep what this side itself makes.
  bool may_keep(std::size_t bytes) const noexcept {
    return !budget_ || budget_->used == kept_ || budget_->has_room(bytes);
  }
  bool has_room(std::size_t bytes) const noexcept { return !budget_ || budget_->has_room(bytes); }
  /// The request was sent or queued: parts that were written before may follow.
  void begun() noexcept;

  payload take_part() noexcept;

private:
  friend class read_awaiter;
  friend class write_wait;
  void send_end() noexcept;

  const scheduler* home_;
  outbox* out_ = nullptr;
  std::uint32_t id_ = 0;
  service_frame::kind sends_;
  errc over_{};
  errc sending_over_{};
  // receiving
  bool more_to_come_ = false;
  std::list<payload> parts_;
  std::size_t not_credited_ = 0;  // bytes that were received and not credited
  std::size_t consumed_ = 0;      // bytes that were taken and not credited
  byte_budget* budget_ = nullptr;
  std::size_t kept_ = 0;  // bytes counted in `budget_`
  wait_slot<read_awaiter> reader_;
  // sending
  std::size_t under_way_ = 0;  // bytes that were sent or queued, and not credited
  bool end_due_ = false;
  wait_slot<write_wait> writer_;
};

/// Waits for the next part.
class read_awaiter final : public slot_wait<call_flow> {
public:
  explicit read_awaiter(call_flow* of) noexcept : slot_wait(of) {}
  ~read_awaiter() { leave(); }
  bool await_ready() noexcept;
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    outcome_ = of_->admits(coroutine_context_of(h));
    if (outcome_ != errc{} || !arm(h)) return false;
    of_->reader_.put(*this);
    return true;
  }
  result<std::optional<payload>> take_result() noexcept;
  std::optional<payload> await_resume() { return take_result().value(); }

private:
  friend class call_flow;
  void leave() noexcept {
    if (of_) of_->reader_.remove(*this);
  }
  errc outcome_{};
};

/// Waits for credit, then for space in the ring.
class write_wait : public slot_wait<call_flow>, public pending_frame {
public:
  bool await_ready();
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    if (const errc e = of_->admits(coroutine_context_of(h)); e != errc{}) {
      outcome_ = e;
      return false;
    }
    if (!arm(h)) return false;
    begin();
    return true;
  }
  result<void> take_result() noexcept;
  void await_resume() {
    const result<void> r = take_result();
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    r.value();
  }

protected:
  explicit write_wait(call_flow* of) noexcept : slot_wait(of) {}
  ~write_wait() override { leave(); }
  void send_what(const outgoing& what) noexcept { what_ = &what; }

private:
  friend class call_flow;
  void begin();
  void credited() noexcept;
  void push();
  /// Ends the wait with `e`, unless the part was sent already.
  void give_up(errc e) noexcept;
  bool take_back() noexcept;
  void decide(errc e) noexcept {
    outcome_ = e;
    complete();
  }
  void sent(errc e, std::exception_ptr thrown) noexcept override;
  void leave() noexcept;
  bool may_go() const noexcept { return of_->under_way_ < service_frame::initial_window; }

  const outgoing* what_ = nullptr;
  std::size_t cost_ = 0;
  std::size_t kept_ = 0;
  errc outcome_ = errc::would_block;
  std::exception_ptr thrown_;
};

template <std::derived_from<outgoing> Part>
class write_awaiter final : public write_wait {
public:
  write_awaiter(call_flow* of, Part what) noexcept : write_wait(of), value_(std::move(what)) {
    send_what(value_);
  }

private:
  Part value_;
};
template <class Part>
using write_awaitable = awaitable<write_awaiter<Part>, call_flow*, Part>;

}  // namespace ringbell::detail
