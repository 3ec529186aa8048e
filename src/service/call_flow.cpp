// SPDX-License-Identifier: BSL-1.0
#include <ringbell/service/detail/call_flow.hpp>

#include <algorithm>

namespace ringbell::detail {

using service_frame::initial_window;
using service_frame::part_cost;

// The links of the list, the frame's header, and the overhead of two allocations are included.
static_assert(sizeof(payload) + 2 * sizeof(void*) + service_frame::max_header_size +
                  std::size_t{2} * 16 <=
              call_flow::part_memory);

bool call_flow::part_arrived(payload p) {
  if (!more_to_come_ || not_credited_ >= initial_window) return false;
  const std::size_t cost = p.size() + part_cost;
  const std::size_t memory = memory_of_part(p.size());
  parts_.push_back(std::move(p));
  not_credited_ += cost;
  keep(memory);
  if (reader_) reader_->complete();
  return true;
}

void call_flow::last_part_arrived() noexcept {
  more_to_come_ = false;
  if (reader_) reader_->complete();
}

bool call_flow::credit_arrived(std::uint64_t bytes) noexcept {
  if (bytes > under_way_) return false;
  under_way_ -= static_cast<std::size_t>(bytes);
  if (writer_) writer_->credited();
  return true;
}

void call_flow::close(errc e) noexcept {
  if (over_ != errc{}) return;
  over_ = e;
  more_to_come_ = false;
  if (reader_) reader_->complete();
  if (sending_over_ == errc{}) sending_over_ = e;
  if (writer_) writer_->give_up(e);
}

void call_flow::close_sending() noexcept {
  if (sending_over_ == errc{}) sending_over_ = errc::closed;
  if (writer_) writer_->give_up(errc::closed);
}

void call_flow::finish_sending() noexcept {
  if (sending_over_ != errc{} || !out_) return;
  sending_over_ = errc::closed;
  if (writer_)
    end_due_ = true;
  else
    send_end();
}

void call_flow::send_end() noexcept {
  end_due_ = false;
  if (over_ != errc{} || !out_) return;
  service_frame::header h;
  h.kind = sends_;
  h.call = id_;
  out_->send_small(h);
}

void call_flow::begun() noexcept {
  if (writer_) writer_->credited();
}

payload call_flow::take_part() noexcept {
  payload first = std::move(parts_.front());
  parts_.pop_front();
  const std::size_t cost = first.size() + part_cost;
  consumed_ += cost;
  keep_no_more(memory_of_part(first.size()));
  if (consumed_ >= initial_window / 2 && over_ == errc{} && more_to_come_ && out_) {
    service_frame::header h;
    h.kind = service_frame::kind::credit;
    h.call = id_;
    h.credit = consumed_;
    not_credited_ -= consumed_;
    consumed_ = 0;
    out_->send_small(h);
  }
  return first;
}

// -- reading --

bool read_awaiter::await_ready() noexcept {
  if (!of_) return true;
  if (of_->reader_) {
    outcome_ = errc::busy;
    return true;
  }
  return !of_->parts_.empty() || !of_->more_to_come_;
}

result<std::optional<payload>> read_awaiter::take_result() noexcept {
  disarm();
  leave();
  call_flow* const call = std::exchange(of_, nullptr);
  if (outcome_ != errc{}) return outcome_;
  if (!call) return errc::closed;
  if (stop_requested()) return errc::cancelled;
  if (!call->parts_.empty()) return std::optional<payload>(call->take_part());
  if (call->over_ != errc{}) return call->over_;
  return std::optional<payload>();
}

// -- writing --

bool write_wait::await_ready() {
  if (!of_) {
    outcome_ = errc::closed;
    return true;
  }
  call_flow& call = *of_;
  if (call.writer_) {
    outcome_ = errc::busy;
  } else if (call.sending_over_ != errc{}) {
    outcome_ = call.sending_over_;
  } else {
    cost_ = what_->size() + part_cost;
    frame.head.kind = call.sends_;
    frame.head.flags = service_frame::more;
    frame.payload = what_;
    if (!call.out_) return false;  // the call waits for a connection
    frame.head.call = call.id_;
    if (may_go()) outcome_ = call.out_->try_send(frame);
    if (outcome_ == errc{}) call.under_way_ += cost_;
  }
  return outcome_ != errc::would_block;
}

namespace {

std::size_t memory_of(const outgoing& what) { return call_flow::memory_of_part(what.size()); }

}  // namespace

void write_wait::begin() {
  // The part that a server's handler writes is kept until the client has made room. It is counted,
  // because the client may never do so.
  const bool at_server = of_->sends_ == service_frame::kind::reply;
  if (at_server && !of_->may_keep(memory_of(*what_))) return decide(errc::refused_bytes);
  of_->writer_.put(*this);
  if (at_server) of_->keep(kept_ = memory_of(*what_));
  if (of_->out_ && may_go()) push();
}

/// A part that waits for space counts as under way, because the peer may consume it before this
/// side sees that it was sent.
void write_wait::push() {
  frame.head.call = of_->id_;
  of_->out_->push(*this);
  of_->under_way_ += cost_;
}

void write_wait::credited() noexcept {
  if (linked_frame() || completed() || !may_go()) return;
  try {
    push();
  } catch (const std::bad_alloc&) {
    decide(errc::message_too_large);
  }
}

void write_wait::sent(errc e, std::exception_ptr thrown) noexcept {
  thrown_ = std::move(thrown);
  if (e != errc{} && of_) of_->under_way_ -= std::min(cost_, of_->under_way_);
  decide(e);
}

/// Returns false when the part was sent already.
bool write_wait::take_back() noexcept {
  if (!linked_frame()) return true;
  if (!of_->out_->withdraw(*this)) return false;
  of_->under_way_ -= std::min(cost_, of_->under_way_);  // a hostile peer may have credited it
  return true;
}

void write_wait::give_up(errc e) noexcept {
  if (!completed()) decide(take_back() ? e : errc{});
}

void write_wait::leave() noexcept {
  if (!of_ || !of_->writer_.remove(*this)) return;
  of_->keep_no_more(std::exchange(kept_, 0));
  if (!take_back()) outcome_ = errc{};
  if (of_->end_due_) of_->send_end();
}

result<void> write_wait::take_result() noexcept {
  disarm();
  leave();
  if (!of_ && outcome_ == errc::would_block) outcome_ = errc::closed;
  of_ = nullptr;
  if (outcome_ == errc::would_block) outcome_ = errc::cancelled;
  return outcome_ == errc{} ? result<void>() : result<void>(outcome_);
}

}  // namespace ringbell::detail
